//! What the flags of `shellport run` take, in Docker's words.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::CommandError;
use crate::oci::container::{Bind, Port};
use crate::units;

/// The least memory in which a program starts; Docker's least as well.
const MIN_MEMORY: u64 = 6 << 20;

/// The longest name.
const MAX_NAME: usize = 64;

/// What `--memory` takes.
pub fn memory(text: &str) -> Result<u64, String> {
    let bytes = units::parse_size(text).map_err(|error| error.to_string())?;
    if bytes < MIN_MEMORY {
        return Err(format!("{bytes} bytes are too few; the least is 6m"));
    }
    Ok(bytes)
}

/// What `--cpus` takes.
pub fn cpus(text: &str) -> Result<f64, String> {
    let most = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    #[expect(clippy::cast_precision_loss, reason = "no machine has so many")]
    let most = most as f64;
    match text.parse::<f64>() {
        Ok(cpus) if cpus >= 0.01 && cpus <= most => Ok(cpus),
        _ => Err(format!(
            "it takes a number from 0.01 to {most}, which this machine has, such as 1.5"
        )),
    }
}

/// What `--pids-limit` takes.
pub fn pids(text: &str) -> Result<i32, String> {
    match text.parse() {
        Ok(pids @ (-1 | 1..=4_194_304)) => Ok(pids),
        _ => Err("it takes a number from 1 to 4194304, or -1 for no limit".to_owned()),
    }
}

/// What `--name` takes.
pub fn name(text: &str) -> Result<String, String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    let begins = text.starts_with(|c: char| c.is_ascii_alphanumeric());
    if begins && text.len() <= MAX_NAME && text.chars().all(allowed) {
        return Ok(text.to_owned());
    }
    Err(format!(
        "it takes up to {MAX_NAME} letters, digits, '_', '.' and '-', a letter or digit first"
    ))
}

/// What `--hostname` takes: hostname(7).
pub fn hostname(text: &str) -> Result<String, String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-.".contains(c);
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    let edges = edge(text.chars().next()) && edge(text.chars().last());
    if edges && text.len() <= 63 && text.chars().all(allowed) {
        return Ok(text.to_owned());
    }
    Err("it takes up to 63 letters, digits, '-' and '.'".to_owned())
}

/// What `--workdir` takes.
pub fn absolute(text: &str) -> Result<String, String> {
    if text.starts_with('/') && !text.contains('\0') {
        return Ok(text.to_owned());
    }
    Err("it takes a path that begins with /".to_owned())
}

/// What `--user` takes.
pub fn user(text: &str) -> Result<String, String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let mut parts = text.split(':');
    let is_one = |part: &str| !part.is_empty() && part.chars().all(allowed);
    if parts.clone().count() <= 2 && parts.all(is_one) {
        return Ok(text.to_owned());
    }
    Err("it takes a name or number, and may have a :group".to_owned())
}

/// What `--volume` takes.
pub fn volume(text: &str) -> Result<Bind, String> {
    let takes = "it takes SOURCE:TARGET, and may have :ro or :rw";
    let parts: Vec<_> = text.split(':').collect();
    let (source, target, mode) = match *parts.as_slice() {
        [source, target] => (source, target, "rw"),
        [source, target, mode @ ("ro" | "rw")] => (source, target, mode),
        _ => return Err(takes.to_owned()),
    };
    if !source.contains('/') && !matches!(source, "." | "..") {
        return Err(format!(
            "{source:?} would be a volume with a name, which there are not here; a path has a /"
        ));
    }
    if !target.starts_with('/') || Path::new(target) == Path::new("/") {
        return Err(format!("{target:?} is no place in a container; {takes}"));
    }
    let source = fs::canonicalize(source).map_err(|error| format!("{source}: {error}"))?;
    Ok(Bind {
        source,
        target: target.into(),
        read_only: mode == "ro",
    })
}

/// What `--publish` takes.
pub fn port(text: &str) -> Result<Port, String> {
    let takes = || "it takes [ADDRESS:]PORT:PORT, and may have /tcp or /udp".to_owned();
    let (ports, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    if !matches!(protocol, "tcp" | "udp") {
        return Err(takes());
    }
    let (rest, container) = ports.rsplit_once(':').ok_or_else(takes)?;
    let (address, host) = match rest.rsplit_once(':') {
        Some((address, host)) => (Some(address.trim_matches(['[', ']'])), host),
        None => (None, rest),
    };
    let address = address.map(str::parse).transpose().map_err(|_| takes())?;
    let number = |text: &str| text.parse().ok().filter(|it| *it > 0).ok_or_else(takes);
    Ok(Port {
        address,
        host: number(host)?,
        container: number(container)?,
        protocol: protocol.to_owned(),
    })
}

/// The variables of `--env` and `--env-file`, those of the files first.
///
/// # Errors
/// What is no variable.
pub fn variables(
    files: &[PathBuf],
    given: &[String],
) -> Result<BTreeMap<String, String>, CommandError> {
    let mut variables = BTreeMap::new();
    for path in files {
        let text = fs::read_to_string(path).map_err(|error| {
            CommandError::flag("--env-file", format!("{}: {error}", path.display()))
        })?;
        for line in text.lines().map(str::trim_start) {
            if !line.is_empty() && !line.starts_with('#') {
                add("--env-file", line, &mut variables)?;
            }
        }
    }
    for variable in given {
        add("--env", variable, &mut variables)?;
    }
    Ok(variables)
}

fn add(
    flag: &'static str,
    text: &str,
    variables: &mut BTreeMap<String, String>,
) -> Result<(), CommandError> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        // Copied, where there is one.
        None => (text, std::env::var(text).ok()),
    };
    if name.is_empty() || name.contains(char::is_whitespace) || text.contains('\0') {
        let takes = format!("{text:?} is no variable; it takes NAME=VALUE, or NAME to copy it");
        return Err(CommandError::flag(flag, takes));
    }
    if let Some(value) = value {
        variables.insert(name.to_owned(), value);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_dockers() {
        let read = |text: &str| {
            let port = port(text).unwrap();
            let address = port.address.map(|it| it.to_string());
            (address, port.host, port.container, port.protocol)
        };
        let tcp = || "tcp".to_owned();
        assert_eq!(read("8080:80"), (None, 8080, 80, tcp()));
        assert_eq!(read("53:53/udp"), (None, 53, 53, "udp".to_owned()));
        let local = Some("127.0.0.1".to_owned());
        assert_eq!(read("127.0.0.1:1:2"), (local, 1, 2, tcp()));
        assert_eq!(read("[::1]:1:2"), (Some("::1".to_owned()), 1, 2, tcp()));
        for text in [
            "",
            "80",
            "0:80",
            "80:",
            "a:80",
            "80:80/sctp",
            "x:80:80",
            "70000:80",
        ] {
            assert!(port(text).unwrap_err().contains("PORT:PORT"), "{text}");
        }
    }

    #[test]
    fn volumes_are_paths_that_are_there() {
        let bind = volume("/tmp/../tmp:/x:ro").unwrap();
        assert_eq!(bind.source, fs::canonicalize("/tmp").unwrap());
        assert!(bind.read_only);
        assert!(!volume("/tmp:/x").unwrap().read_only);
        for (text, what) in [
            ("/tmp", "SOURCE:TARGET"),
            ("/tmp:/x:rx", "SOURCE:TARGET"),
            ("name:/x", "no"),
            ("/tmp:x", "no place"),
            ("/tmp:/", "no place"),
            ("/nowhere/at/all:/x", "No such file"),
        ] {
            let error = volume(text).unwrap_err();
            assert!(error.contains(what), "{text}: {error}");
        }
    }

    #[test]
    fn variables_are_given_copied_and_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("env");
        fs::write(
            &path,
            "# none\n\nA=file\nB=x=y z\nPATH\nSHELLPORT_TEST_ABSENT\n",
        )
        .unwrap();
        let given = ["A=given".to_owned(), "E=".to_owned()];
        let all = variables(std::slice::from_ref(&path), &given).unwrap();
        assert_eq!(all["A"], "given");
        assert_eq!(all["B"], "x=y z");
        assert_eq!(all["E"], "");
        assert_eq!(all["PATH"], std::env::var("PATH").unwrap());
        assert_eq!(all.len(), 4);
        let error = variables(&[], &["=x".to_owned()]).unwrap_err().to_string();
        assert!(error.contains("--env: \"=x\" is no variable"), "{error}");
    }

    #[test]
    fn the_rest_is_bounded() {
        assert_eq!(memory("1.5g"), Ok(1536 << 20));
        assert!(memory("1m").unwrap_err().contains("6m"));
        assert_eq!(cpus("0.5"), Ok(0.5));
        for text in ["0", "-1", "NaN", "inf", "1e9", "x"] {
            assert!(cpus(text).unwrap_err().contains("0.01"), "{text}");
        }
        assert_eq!((pids("-1"), pids("7")), (Ok(-1), Ok(7)));
        assert!(pids("0").is_err());
        assert!(name("a.b-c_d").is_ok() && name("-a").is_err() && name("").is_err());
        assert!(hostname("a-b.c").is_ok() && hostname("a_b").is_err() && hostname("-a").is_err());
        assert!(user("1000:1000").is_ok() && user("a b").is_err() && user("a:b:c").is_err());
        assert!(absolute("/x").is_ok() && absolute("x").is_err());
    }
}
