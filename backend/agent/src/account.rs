//! Users of the sandbox, from its `/etc/passwd` and `/etc/group`.

use std::fs;
use std::path::Path;

use nix::unistd::{getegid, geteuid};

/// Who a program runs as.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// The user's id.
    pub uid: u32,
    /// The group's id.
    pub gid: u32,
    /// Further groups that the user is in.
    pub groups: Vec<u32>,
    /// The login name, when the user has an entry.
    pub name: Option<String>,
    /// The home directory, when the user has an entry.
    pub home: Option<String>,
    /// The login shell, when the user has an entry with one.
    pub shell: Option<String>,
}

/// A user or group that is not there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("user: {0:?} is neither a number nor in {1}")]
pub struct UnknownAccount(String, &'static str);

impl Account {
    /// Whoever the agent runs as.
    pub fn current() -> Self {
        let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
        let entry = by_id(&read("/etc/passwd"), uid).unwrap_or_default();
        Self { uid, gid, ..entry }
    }

    /// The account that `spec` names: `name`, `uid`, `name:group` or `uid:gid`, as Docker takes it.
    ///
    /// # Errors
    /// When a name is not in the sandbox's files.
    pub fn find(spec: &str) -> Result<Self, UnknownAccount> {
        lookup(spec, &read("/etc/passwd"), &read("/etc/group"))
    }

    /// The shell to start: the one in the user's entry when it can run, else bash, else sh.
    pub fn login_shell(&self) -> String {
        self.shell
            .as_deref()
            .filter(|shell| {
                let name = shell.rsplit('/').next().unwrap_or_default();
                !matches!(name, "nologin" | "false" | "sync")
            })
            .into_iter()
            .chain(["/bin/bash", "/usr/bin/bash"])
            .find(|shell| Path::new(shell).exists())
            .unwrap_or("/bin/sh")
            .to_owned()
    }
}

fn read(path: &str) -> String {
    // An image without these files has only numbers.
    fs::read(path).map_or_else(
        |_| String::new(),
        |bytes| String::from_utf8_lossy(&bytes).into_owned(),
    )
}

fn lookup(spec: &str, passwd: &str, group: &str) -> Result<Account, UnknownAccount> {
    let (user, primary) = match spec.split_once(':') {
        Some((user, primary)) => (user, Some(primary)),
        None => (spec, None),
    };
    let mut account = entries(passwd)
        .find(|account| account.name.as_deref() == Some(user))
        .or_else(|| {
            let uid = user.parse().ok()?;
            Some(by_id(passwd, uid).unwrap_or(Account {
                uid,
                ..Account::default()
            }))
        })
        .ok_or_else(|| UnknownAccount(user.to_owned(), "/etc/passwd"))?;
    match primary {
        Some(primary) => {
            account.gid = groups(group)
                .find(|(name, ..)| *name == primary)
                .map(|(_, gid, _)| gid)
                .or_else(|| primary.parse().ok())
                .ok_or_else(|| UnknownAccount(primary.to_owned(), "/etc/group"))?;
        }
        // Supplementary groups come with the user's own group only, as Docker does it.
        None => {
            if let Some(name) = account.name.as_deref() {
                account.groups = groups(group)
                    .filter(|(.., members)| members.split(',').any(|member| member == name))
                    .map(|(_, gid, _)| gid)
                    .collect();
            }
        }
    }
    Ok(account)
}

fn by_id(passwd: &str, uid: u32) -> Option<Account> {
    entries(passwd).find(|account| account.uid == uid)
}

fn entries(passwd: &str) -> impl Iterator<Item = Account> {
    passwd.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let _password = fields.next()?;
        Some(Account {
            name: Some(name.to_owned()),
            uid: fields.next()?.parse().ok()?,
            gid: fields.next()?.parse().ok()?,
            groups: Vec::new(),
            home: fields.nth(1).map(str::to_owned),
            shell: fields
                .next()
                .filter(|shell| !shell.is_empty())
                .map(str::to_owned),
        })
    })
}

fn groups(group: &str) -> impl Iterator<Item = (&str, u32, &str)> {
    group.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let gid = fields.nth(1)?.parse().ok()?;
        Some((name, gid, fields.next().unwrap_or_default()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\n\
        # not an entry\n\
        app:x:1000:1000::/home/app:\n\
        short:x:7\n";
    const GROUP: &str = "root:x:0:\nvideo:x:44:app,other\napp:x:1000:\nwheel:x:10:app\n";

    #[test]
    fn by_name_with_every_group() {
        let app = lookup("app", PASSWD, GROUP).unwrap();
        assert_eq!((app.uid, app.gid), (1000, 1000));
        assert_eq!(app.groups, [44, 10]);
        assert_eq!(app.home.as_deref(), Some("/home/app"));
        assert_eq!(app.shell, None);
    }

    #[test]
    fn by_number_and_group() {
        let app = lookup("1000:video", PASSWD, GROUP).unwrap();
        assert_eq!(app.name.as_deref(), Some("app"));
        assert_eq!((app.gid, app.groups), (44, vec![]));
        let nobody = lookup("4711:99", PASSWD, GROUP).unwrap();
        assert_eq!((nobody.uid, nobody.gid, nobody.name), (4711, 99, None));
        assert_eq!(lookup("4711", PASSWD, GROUP).unwrap().gid, 0);
    }

    #[test]
    fn unknown_names_are_named() {
        let error = lookup("eve", PASSWD, GROUP).unwrap_err();
        assert!(error.to_string().contains("\"eve\""), "{error}");
        let error = lookup("app:crew", PASSWD, GROUP).unwrap_err();
        assert!(error.to_string().contains("\"crew\""), "{error}");
        assert!(lookup("", PASSWD, GROUP).is_err());
    }
}
