//! Values that stand elsewhere: `${env:NAME}` and `${file:path:key}`.

use std::path::Path;

use connect_sdk::Finding;
use runtime::Disk;

use super::Flat;

/// Whether a value only says where the value is.
pub(crate) fn is_reference(value: &str) -> bool {
    value.starts_with("${") && value.ends_with('}')
}

/// Puts the values in place of the references. What cannot be found is reported by key, and
/// the reference stays.
pub(crate) fn resolve(flat: &Flat, disk: &dyn Disk) -> (Flat, Vec<Finding>) {
    let mut findings = Vec::new();
    let mut resolved = Flat::new();
    for (key, value) in flat {
        let text = match resolve_value(value, disk) {
            Ok(text) => text,
            Err((message, hint)) => {
                findings
                    .push(Finding::error("connector.secret.missing", key, message).with_hint(hint));
                value.clone()
            }
        };
        resolved.insert(key.clone(), text);
    }
    (resolved, findings)
}

/// Replaces every reference inside a value.
fn resolve_value(value: &str, disk: &dyn Disk) -> Result<String, (String, String)> {
    let (mut out, mut rest) = (String::new(), value);
    while let Some(start) = rest.find("${") {
        let Some(end) = rest[start..].find('}') else {
            break;
        };
        let reference = &rest[start + 2..start + end];
        out.push_str(&rest[..start]);
        match reference.split_once(':') {
            Some(("env", name)) => out.push_str(&environment(name)?),
            Some(("file", place)) => out.push_str(&from_file(place, disk)?),
            // Not one of ours: the text may mean something to the connector.
            _ => out.push_str(&rest[start..=start + end]),
        }
        rest = &rest[start + end + 1..];
    }
    out.push_str(rest);
    Ok(out)
}

fn environment(name: &str) -> Result<String, (String, String)> {
    std::env::var(name).map_err(|_| {
        (
            format!("environment variable {name} is not set"),
            format!("set {name} where Millstream is started"),
        )
    })
}

/// `path:key` of a file of `key=value` lines, or the whole file if no key is named.
fn from_file(place: &str, disk: &dyn Disk) -> Result<String, (String, String)> {
    let (path, key) = match place.rsplit_once(':') {
        Some((path, key)) => (path, Some(key)),
        None => (place, None),
    };
    let bytes = disk.read(Path::new(path)).map_err(|error| {
        (
            format!("file {path} cannot be read: {error}"),
            "give the path of a file that exists".to_owned(),
        )
    })?;
    let text = String::from_utf8_lossy(&bytes);
    let Some(key) = key else {
        return Ok(text.trim_end().to_owned());
    };
    text.lines()
        .filter_map(|line| line.split_once('='))
        .find(|(name, _)| name.trim() == key)
        .map(|(_, value)| value.trim().to_owned())
        .ok_or_else(|| {
            (
                format!("file {path} has no key {key}"),
                format!("add a line {key}=… to it"),
            )
        })
}

#[cfg(test)]
mod tests {
    use runtime::{Rng, SimDisk};

    use super::*;

    fn check(value: &str) -> Result<String, String> {
        let disk = SimDisk::new(Rng::seeded(1)).mount();
        disk.replace(Path::new("/secrets"), b"# ours\nuser = me\npassword=a=b\n")
            .expect("it is written");
        let (resolved, findings) =
            resolve(&Flat::from([("k".into(), value.into())]), disk.as_ref());
        match findings.first() {
            Some(finding) => Err(finding.to_string()),
            None => Ok(resolved["k"].clone()),
        }
    }

    #[test]
    fn references_are_replaced_wherever_they_stand() {
        assert_eq!(check("plain").as_deref(), Ok("plain"));
        assert_eq!(
            check("postgres://${file:/secrets:user}:${file:/secrets:password}@db").as_deref(),
            Ok("postgres://me:a=b@db")
        );
        assert_eq!(check("${other:x} ${").as_deref(), Ok("${other:x} ${"));
    }

    #[test]
    fn a_reference_to_nothing_says_what_is_missing() {
        assert_eq!(
            check("${env:NO_SUCH_NAME_ANYWHERE}").unwrap_err(),
            "k: environment variable NO_SUCH_NAME_ANYWHERE is not set (set NO_SUCH_NAME_ANYWHERE where Millstream is started)"
        );
        assert!(
            check("${file:/secrets:nobody}")
                .unwrap_err()
                .contains("has no key nobody")
        );
        assert!(
            check("${file:/nowhere:k}")
                .unwrap_err()
                .contains("/nowhere cannot be read")
        );
    }
}
