//! Three million real flights: the scale run of the main job.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::cache::{cache, say, stamp};
use crate::python::python;
use crate::tools::run;

/// The npm package whose `data/flights-3m.parquet` they are (BSD-3-Clause).
const PACKAGE: &str = "vega-datasets@3.2.1";
/// Reads Parquet; only here, so that no program of ours has to.
const PYARROW: &str = "pyarrow==26.0.1";

/// Flights as a CSV file, in the columns and the order of `examples/flights/flights-20k.csv`.
#[derive(Clone, Debug)]
pub struct Flights {
    pub csv: PathBuf,
    pub flights: u64,
    /// Different pairs of origin and hour of departure.
    pub airport_hours: u64,
}

const CONVERT: &str = "
import sys
import pyarrow as pa, pyarrow.compute as pc, pyarrow.csv as csv, pyarrow.parquet as parquet
flights = parquet.read_table(sys.argv[1]).sort_by('date')
hours = pc.floor_temporal(flights['date'], unit='hour')
groups = pa.table({'hour': hours, 'origin': flights['origin']}).group_by(['hour', 'origin']).aggregate([])
text = pc.strftime(flights['date'].cast(pa.timestamp('s')), format='%Y-%m-%d %H:%M:%S')
csv.write_csv(flights.set_column(0, 'date', text), sys.argv[2] + '/flights.csv',
              csv.WriteOptions(quoting_style='none'))
open(sys.argv[2] + '/counts', 'w').write(f'{flights.num_rows} {groups.num_rows}')
";

/// Brings the flights from npm and keeps them as CSV.
pub fn flights() -> Result<Flights> {
    let folder = cache("flights")?.join("3m");
    stamp(&folder, &format!("{PACKAGE} {PYARROW}"), || {
        let python = python("pyarrow", &[PYARROW])?;
        say(&format!("fetching {PACKAGE} from npm"));
        let packed = run(Command::new("npm")
            .args(["pack", "--silent", PACKAGE])
            .current_dir(&folder))
        .context("npm could not bring the flights (is `npm` installed?)")?;
        let archive = folder.join(packed.trim());
        run(Command::new("tar")
            .arg("xzf")
            .arg(&archive)
            .arg("package/data/flights-3m.parquet")
            .current_dir(&folder))?;
        run(Command::new(python)
            .args(["-c", CONVERT])
            .arg(folder.join("package/data/flights-3m.parquet"))
            .arg(&folder))?;
        std::fs::remove_dir_all(folder.join("package"))?;
        std::fs::remove_file(archive)?;
        Ok(())
    })?;
    let counts = std::fs::read_to_string(folder.join("counts"))?;
    let (flights, airport_hours) = counts.split_once(' ').context("two counts are kept")?;
    Ok(Flights {
        csv: folder.join("flights.csv"),
        flights: flights.parse()?,
        airport_hours: airport_hours.parse()?,
    })
}
