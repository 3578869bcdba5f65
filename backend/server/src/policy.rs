//! What a caller may have. No I/O.

use std::collections::BTreeMap;
use std::time::Duration;

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use crate::config::Limits;
use crate::session::{Network, Profile, Spec};

/// A wish, as the API takes it; whatever is absent is the operator's default.
#[derive(Clone, Debug, Default)]
pub struct Wish {
    /// See [`Spec`].
    pub image: Option<String>,
    /// See [`Spec`].
    pub profile: Option<Profile>,
    /// See [`Spec`].
    pub network: Option<Network>,
    /// See [`Spec`].
    pub command: Option<Vec<String>>,
    /// See [`Spec`].
    pub env: BTreeMap<String, String>,
    /// See [`Spec`].
    pub cwd: Option<String>,
    /// See [`Spec`].
    pub user: Option<String>,
    /// See [`Spec`].
    pub cpus: Option<f64>,
    /// See [`Spec`].
    pub memory: Option<u64>,
    /// See [`Spec`].
    pub pids: Option<u32>,
}

/// A value that is not allowed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct PolicyError {
    /// The field of the request.
    pub field: &'static str,
    /// The value, and what is allowed.
    pub message: String,
}

/// The least memory with which an agent and a shell run at all.
const MIN_MEMORY: u64 = 16 << 20;

/// The agent, a shell and a command.
const MIN_PIDS: u32 = 8;

/// A hundredth of a CPU, the kernel's own least share.
const MIN_CPUS: f64 = 0.01;

/// The specification that `wish` comes to under `limits`.
///
/// # Errors
/// The first value that is malformed or more than allowed.
pub fn resolve(wish: Wish, limits: &Limits) -> Result<Spec, PolicyError> {
    let profile = wish.profile.unwrap_or(limits.default_profile);
    if profile < limits.loosest_profile {
        return refuse(
            "profile",
            format!(
                "{:?} is not allowed here; the loosest is {:?}",
                profile.as_str(),
                limits.loosest_profile.as_str()
            ),
        );
    }
    let network = network(wish.network, profile, limits)?;
    if profile == Profile::Strict && wish.user.is_some() {
        return refuse(
            "user",
            "the profile \"strict\" always runs as user 1000".to_owned(),
        );
    }
    let image = wish.image.unwrap_or_else(|| limits.image().to_owned());
    check_image(&image)?;
    check_cwd(wish.cwd.as_deref())?;
    if let Some(user) = &wish.user {
        check_user(user)?;
    }
    if let Some(command) = &wish.command
        && (command.is_empty() || command.iter().any(|it| it.contains('\0')))
    {
        let message = "an argument vector has at least one argument and no NUL".to_owned();
        return refuse("command", message);
    }
    check_env(&wish.env)?;
    Ok(Spec {
        cpus: bounded(
            "cpus",
            wish.cpus.unwrap_or(limits.default_cpus),
            MIN_CPUS,
            limits.max_cpus,
        )?,
        memory: bounded(
            "memory",
            wish.memory.unwrap_or(limits.default_memory),
            MIN_MEMORY,
            limits.max_memory,
        )?,
        pids: bounded(
            "pids",
            wish.pids.unwrap_or(limits.default_pids),
            MIN_PIDS,
            limits.max_pids,
        )?,
        image,
        profile,
        network,
        command: wish.command,
        env_digest: digest(&wish.env),
        env: wish.env,
        cwd: wish.cwd,
        user: wish.user,
    })
}

/// Stands for variables, whose values may be secrets.
fn digest(env: &BTreeMap<String, String>) -> String {
    let mut digest = Sha256::new();
    for (name, value) in env {
        // Neither can have a NUL.
        digest.update(format!("{name}={value}\0"));
    }
    HEXLOWER.encode(&digest.finalize())
}

/// A time that was asked for, within the operator's longest.
///
/// # Errors
/// When it is longer.
pub fn resolve_time(
    field: &'static str,
    wish: Option<Duration>,
    longest: Option<Duration>,
) -> Result<Option<Duration>, PolicyError> {
    match (wish, longest) {
        (Some(wish), Some(longest)) if wish > longest => refuse(
            field,
            format!(
                "{} is longer than the {} that are allowed",
                crate::units::format_duration(wish),
                crate::units::format_duration(longest)
            ),
        ),
        (wish, longest) => Ok(wish.or(longest)),
    }
}

/// A working directory that a program can have.
///
/// # Errors
/// A path that is not absolute, or too long.
pub fn check_cwd(cwd: Option<&str>) -> Result<(), PolicyError> {
    match cwd {
        Some(cwd) if !(cwd.starts_with('/') && is_line(cwd)) => {
            refuse("cwd", format!("{cwd:?} is not an absolute path"))
        }
        _ => Ok(()),
    }
}

/// Variables that a program can have.
///
/// # Errors
/// A name or value that the kernel's environment cannot hold.
pub fn check_env(env: &BTreeMap<String, String>) -> Result<(), PolicyError> {
    for (name, value) in env {
        if name.is_empty() || name.contains(['=', '\0']) {
            return refuse("env", format!("{name:?} is not the name of a variable"));
        }
        if value.contains('\0') {
            return refuse("env", format!("the value of {name:?} has a NUL"));
        }
    }
    Ok(())
}

fn network(
    wish: Option<Network>,
    profile: Profile,
    limits: &Limits,
) -> Result<Network, PolicyError> {
    let strictest = match profile {
        Profile::Standard => limits.loosest_network(),
        Profile::Strict => Network::None,
    };
    match wish {
        None => Ok(strictest),
        Some(wish) if wish >= strictest => Ok(wish),
        Some(wish) => refuse(
            "network",
            format!(
                "{:?} is not allowed here; the loosest is {:?}",
                wish.as_str(),
                strictest.as_str()
            ),
        ),
    }
}

/// Refuses what can be no image's name.
///
/// # Errors
/// With what it can be.
pub fn check_image(image: &str) -> Result<(), PolicyError> {
    if image.len() <= 512 && is_reference(image) {
        return Ok(());
    }
    let message = format!("{image:?} is not an image, such as debian:stable-slim");
    refuse("image", message)
}

/// The grammar of a reference: `[host[:port]/]path[:tag][@digest]`.
/// <https://pkg.go.dev/github.com/distribution/reference>
fn is_reference(image: &str) -> bool {
    let word = |text: &str, extra: &str| {
        text.starts_with(|c: char| c.is_ascii_alphanumeric())
            && text
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || extra.contains(c))
    };
    let (name, digest) = match image.split_once('@') {
        Some((name, digest)) => (name, Some(digest)),
        None => (image, None),
    };
    let (path, last) = match name.rsplit_once('/') {
        Some((path, last)) => (Some(path), last),
        None => (None, name),
    };
    let (last, tag) = match last.split_once(':') {
        Some((last, tag)) => (last, Some(tag)),
        None => (last, None),
    };
    let component = |text: &str| {
        word(text, "._-")
            && text.ends_with(|c: char| c.is_ascii_alphanumeric())
            && !text.contains(|c: char| c.is_ascii_uppercase())
    };
    let mut parents = path.into_iter().flat_map(|path| path.split('/')).peekable();
    let host = parents.next_if(|first| first.contains(['.', ':']) || *first == "localhost");
    host.is_none_or(|host| word(host, ".:-"))
        && parents.all(component)
        && component(last)
        && tag.is_none_or(|tag| tag.len() <= 128 && word(tag, "._-"))
        && digest.is_none_or(|digest| word(digest, ":+._-") && digest.contains(':'))
}

fn check_user(user: &str) -> Result<(), PolicyError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._-:".contains(c);
    if user.is_empty() || user.len() > 64 || !user.chars().all(allowed) {
        let message = format!("{user:?} is not a name or number, with or without a :group");
        return refuse("user", message);
    }
    Ok(())
}

fn is_line(text: &str) -> bool {
    text.len() <= 4096 && !text.contains(['\0', '\n'])
}

fn bounded<T: PartialOrd + std::fmt::Display>(
    field: &'static str,
    value: T,
    least: T,
    most: T,
) -> Result<T, PolicyError> {
    if value >= least && value <= most {
        return Ok(value);
    }
    refuse(
        field,
        format!("{value} is not allowed; it can be {least} to {most}"),
    )
}

fn refuse<T>(field: &'static str, message: String) -> Result<T, PolicyError> {
    Err(PolicyError { field, message })
}

#[cfg(test)]
mod tests {
    use clap::{Args, Command, FromArgMatches};

    use super::*;

    fn limits(arguments: &[&str]) -> Limits {
        let command = Limits::augment_args(Command::new("test").no_binary_name(true));
        Limits::from_arg_matches(&command.get_matches_from(arguments)).unwrap()
    }

    fn refused(wish: Wish, limits: &Limits) -> String {
        resolve(wish, limits).unwrap_err().to_string()
    }

    #[test]
    fn defaults_are_the_operators() {
        let spec = resolve(Wish::default(), &limits(&[])).unwrap();
        assert_eq!(spec.image, "debian:stable-slim");
        assert_eq!(
            (spec.profile, spec.network),
            (Profile::Standard, Network::Bridge)
        );
        assert_eq!((spec.memory, spec.pids), (1 << 30, 512));
    }

    #[test]
    fn strict_means_no_network_and_no_choice_of_user() {
        let wish = |user: Option<&str>, network| Wish {
            profile: Some(Profile::Strict),
            user: user.map(str::to_owned),
            network,
            ..Wish::default()
        };
        let spec = resolve(wish(None, None), &limits(&[])).unwrap();
        assert_eq!(spec.network, Network::None);
        assert!(refused(wish(Some("root"), None), &limits(&[])).starts_with("user: "));
        assert!(refused(wish(None, Some(Network::Bridge)), &limits(&[])).starts_with("network: "));
    }

    #[test]
    fn a_caller_gets_nothing_looser_than_allowed() {
        let strict = limits(&["--default-profile=strict", "--loosest-profile=strict"]);
        let wish = Wish {
            profile: Some(Profile::Standard),
            ..Wish::default()
        };
        assert!(refused(wish, &strict).contains("the loosest is \"strict\""));
        let offline = limits(&["--network=none"]);
        let wish = Wish {
            network: Some(Network::Bridge),
            ..Wish::default()
        };
        assert!(refused(wish, &offline).starts_with("network: "));
    }

    #[test]
    fn bad_values_are_named_with_what_is_allowed() {
        let limits = limits(&[]);
        let with = |change: fn(&mut Wish)| {
            let mut wish = Wish::default();
            change(&mut wish);
            refused(wish, &limits)
        };
        assert_eq!(
            with(|it| it.cpus = Some(9.0)),
            "cpus: 9 is not allowed; it can be 0.01 to 4"
        );
        assert!(with(|it| it.cpus = Some(f64::NAN)).starts_with("cpus: NaN"));
        assert!(with(|it| it.memory = Some(1)).starts_with("memory: 1 is not"));
        assert!(with(|it| it.pids = Some(5000)).contains("8 to 4096"));
        assert!(with(|it| it.image = Some("--privileged".into())).starts_with("image: "));
        assert!(with(|it| it.cwd = Some("relative".into())).starts_with("cwd: "));
        assert!(with(|it| it.user = Some("a b".into())).starts_with("user: "));
        assert!(with(|it| it.command = Some(vec![])).starts_with("command: "));
        assert!(with(|it| drop(it.env.insert("A=B".into(), String::new()))).starts_with("env: "));
    }

    #[test]
    fn images_have_their_grammar() {
        for image in [
            "debian",
            "debian:stable-slim",
            "library/debian",
            "127.0.0.1:5000/a/b_c:1",
            "localhost/x@sha256:00ff",
            "ghcr.io/Org/x".to_lowercase().as_str(),
        ] {
            assert!(is_reference(image), "{image}");
        }
        for image in [
            "",
            "-x",
            "UPPER//case",
            "a//b",
            "a/",
            "/a",
            "a:",
            "a b",
            "a@",
            "a:b:c",
        ] {
            assert!(!is_reference(image), "{image}");
        }
    }

    #[test]
    fn times_are_bounded() {
        let hour = Duration::from_hours(1);
        assert_eq!(resolve_time("ttl", None, Some(hour)), Ok(Some(hour)));
        assert_eq!(resolve_time("ttl", Some(hour), None), Ok(Some(hour)));
        let error = resolve_time("ttl", Some(hour * 2), Some(hour)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "ttl: 2h is longer than the 1h that are allowed"
        );
    }
}
