//! Java libraries from Maven Central, and small Java programs compiled against them.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::cache::{beside, cache, say, stamp};
use crate::tools::run;

/// A folder of jars: everything the named artifacts need at run time.
#[derive(Clone, Debug)]
pub struct Jars {
    folder: PathBuf,
}

impl Jars {
    /// RocketMQ's client, broker, name server, tools and example programs.
    pub fn rocketmq(version: &str) -> Result<Jars> {
        let artifacts: &[&str] = if version.starts_with('4') {
            &["rocketmq-client"]
        } else {
            &[
                "rocketmq-client",
                "rocketmq-broker",
                "rocketmq-namesrv",
                "rocketmq-tools",
                "rocketmq-example",
            ]
        };
        let coordinates: Vec<_> = artifacts
            .iter()
            .map(|name| format!("org.apache.rocketmq:{name}:{version}"))
            .collect();
        Jars::fetch(&format!("rocketmq-{version}"), &coordinates)
    }

    /// The run-time class path of `coordinates` (`group:artifact:version`), resolved by Maven.
    pub fn fetch(name: &str, coordinates: &[String]) -> Result<Jars> {
        let folder = cache("jars")?.join(name);
        stamp(&folder, &coordinates.join(" "), || {
            say(&format!(
                "fetching {} from Maven Central",
                coordinates.join(", ")
            ));
            let project = beside(&folder, "project");
            std::fs::create_dir_all(&project)?;
            std::fs::write(project.join("pom.xml"), pom(coordinates)?)?;
            run(Command::new("mvn")
                .args([
                    "-q",
                    "-B",
                    "dependency:copy-dependencies",
                    "-DincludeScope=runtime",
                ])
                .arg(format!("-DoutputDirectory={}", folder.display()))
                .current_dir(&project))
            .context("Maven could not bring the jars (is `mvn` installed?)")?;
            Ok(())
        })?;
        Ok(Jars { folder })
    }

    /// As `java -cp` takes it.
    pub fn class_path(&self) -> String {
        format!("{}/*", self.folder.display())
    }

    /// Bytes of all of them.
    pub fn bytes(&self) -> Result<u64> {
        let mut bytes = 0;
        for jar in std::fs::read_dir(&self.folder)? {
            bytes += jar?.metadata()?.len();
        }
        Ok(bytes)
    }
}

/// Compiles every `.java` file of `sources` against `jars`, once per content; returns the class folder.
pub fn javac(name: &str, sources: &[PathBuf], jars: &Jars) -> Result<PathBuf> {
    let folder = cache("classes")?.join(name);
    let mut version = jars.class_path();
    for source in sources {
        version.push_str(
            &std::fs::read_to_string(source)
                .with_context(|| format!("cannot read {}", source.display()))?,
        );
    }
    stamp(&folder, &version, || {
        run(Command::new("javac")
            .args([
                "-nowarn",
                "-encoding",
                "UTF-8",
                "-cp",
                &jars.class_path(),
                "-d",
            ])
            .arg(&folder)
            .args(sources.iter().map(Path::new)))?;
        Ok(())
    })?;
    Ok(folder)
}

fn pom(coordinates: &[String]) -> Result<String> {
    let mut dependencies = String::new();
    for coordinate in coordinates {
        let parts: Vec<_> = coordinate.split(':').collect();
        let [group, artifact, version] = parts[..] else {
            anyhow::bail!("{coordinate:?} is not group:artifact:version")
        };
        dependencies.push_str(&format!("<dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId><version>{version}</version></dependency>"));
    }
    Ok(format!(
        "<project xmlns=\"http://maven.apache.org/POM/4.0.0\"><modelVersion>4.0.0</modelVersion>\
         <groupId>millstream.tests</groupId><artifactId>peers</artifactId><version>1</version>\
         <packaging>pom</packaging><dependencies>{dependencies}</dependencies></project>"
    ))
}
