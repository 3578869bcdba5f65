//! Argument vectors: which are only a shell, and how they are told.

/// Programs that are shells: as a sandbox's own command they belong into its terminals.
const SHELLS: [&str; 8] = ["sh", "bash", "dash", "ash", "zsh", "fish", "ksh", "nu"];

/// The most bytes of an argument vector that are told.
const MAX_SHOWN: usize = 1024;

/// Whether `command` is an interactive shell: one of the known ones, with no argument but those
/// that make it a login or interactive one.
pub fn is_shell(command: &[String]) -> bool {
    let Some((program, arguments)) = command.split_first() else {
        return false;
    };
    let name = program.rsplit('/').next().unwrap_or_default();
    let interactive =
        |argument: &String| matches!(&argument[..], "-l" | "-i" | "-il" | "-li" | "--login");
    SHELLS.contains(&name) && arguments.iter().all(interactive)
}

/// An argument vector as it is told: cut where it would be too long for a list.
pub fn shown(argv: &[String]) -> Vec<String> {
    let mut left = MAX_SHOWN;
    let mut shown = Vec::new();
    for argument in argv {
        let cut = argument.floor_char_boundary(left);
        shown.push(argument[..cut].to_owned());
        left -= cut;
        if cut < argument.len() {
            break;
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::{MAX_SHOWN, is_shell, shown};

    #[test]
    fn a_long_command_is_told_in_part() {
        let argv = ["sh".to_owned(), "é".repeat(MAX_SHOWN), "last".to_owned()];
        let told = shown(&argv);
        assert_eq!(told.len(), 2);
        assert!(told.concat().len() <= MAX_SHOWN);
        assert_eq!(shown(&argv[..1]), argv[..1]);
    }

    #[test]
    fn a_shell_with_work_to_do_is_a_main_process() {
        let check = |line: &str| is_shell(&line.split(' ').map(str::to_owned).collect::<Vec<_>>());
        assert!(check("bash"));
        assert!(check("/bin/sh"));
        assert!(check("/usr/bin/zsh -l"));
        assert!(!check("bash -c true"));
        assert!(!check("python3"));
        assert!(!check("/entrypoint.sh bash"));
        assert!(!is_shell(&[]));
    }
}
