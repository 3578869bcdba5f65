//! Users as an image names them.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::rootless;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};

/// Bytes of an image's list of users or groups that are read.
const MAX_LIST: u64 = 4 << 20;

/// Who a program runs as.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// The user.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// The other groups.
    pub groups: Vec<u32>,
    /// The home; `/` when the image does not know the user.
    pub home: String,
}

/// A user that cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// The image has no such user.
    #[error("user: {0:?} is not a user of the image; a number always works")]
    User(String),
    /// The image has no such group.
    #[error("user: {0:?} is not a group of the image; a number always works")]
    Group(String),
    /// Whoever makes the container is not root, and has not got these ids.
    #[error(
        "user: {uid}:{gid} is none of the ids that containers of this user can have; root is, and what \
         /etc/subuid and /etc/subgid give (with newuidmap installed)"
    )]
    Beyond {
        /// The user.
        uid: u32,
        /// The group.
        gid: u32,
    },
    /// The image's lists.
    #[error("the image's {0} cannot be read: {1}")]
    List(&'static str, #[source] io::Error),
}

impl Account {
    /// Who `user` is in the files at `root`: `name`, `uid`, `name:group` and so on; root when empty.
    ///
    /// # Errors
    /// Names that the image does not know.
    pub fn find(root: &Path, user: &str) -> Result<Self, AccountError> {
        let users = list(root, "etc/passwd")?;
        let groups = list(root, "etc/group")?;
        let mut account = resolve(user, &users, &groups)?;
        let (uid, gid) = (account.uid, account.gid);
        if !rootless::has_user(uid) || !rootless::has_group(gid) {
            return Err(AccountError::Beyond { uid, gid });
        }
        // Without them it can do less.
        account.groups.retain(|group| rootless::has_group(*group));
        Ok(account)
    }
}

fn resolve(user: &str, users: &str, groups: &str) -> Result<Account, AccountError> {
    let (name, group) = match user.split_once(':') {
        Some((name, group)) => (name, Some(group)),
        None => (user, None),
    };
    let name = if name.is_empty() { "0" } else { name };
    let number = name.parse::<u32>().ok();
    // A name may consist of digits, but then it is a number here, as it is for engines.
    let line = users.lines().map(fields).find(|line| match number {
        Some(uid) => line.get(2).and_then(|it| it.parse().ok()) == Some(uid),
        None => line.first() == Some(&name),
    });
    let at = |index: usize| line.as_ref().and_then(|line| line.get(index).copied());
    let uid = match number {
        Some(uid) => uid,
        None => at(2)
            .and_then(|it| it.parse().ok())
            .ok_or_else(|| AccountError::User(name.to_owned()))?,
    };
    let own = || at(3).and_then(|it| it.parse().ok()).unwrap_or(0);
    let gid = match group {
        None | Some("") => own(),
        Some(group) => match group.parse() {
            Ok(gid) => gid,
            Err(_) => groups
                .lines()
                .map(fields)
                .find(|line| line.first() == Some(&group))
                .and_then(|line| line.get(2)?.parse().ok())
                .ok_or_else(|| AccountError::Group(group.to_owned()))?,
        },
    };
    let login = at(0);
    let is_member = |members: &str| members.split(',').any(|it| Some(it) == login);
    let mut others: Vec<u32> = match group {
        // Whoever names a group wants that one only.
        Some(_) => Vec::new(),
        None => groups
            .lines()
            .map(fields)
            .filter(|line| line.get(3).is_some_and(|members| is_member(members)))
            .filter_map(|line| line.get(2)?.parse().ok())
            .filter(|it| *it != gid)
            .collect(),
    };
    others.sort_unstable();
    others.dedup();
    let home = at(5).filter(|home| home.starts_with('/')).unwrap_or("/");
    Ok(Account {
        uid,
        gid,
        groups: others,
        home: home.to_owned(),
    })
}

fn fields(line: &str) -> Vec<&str> {
    line.split(':').collect()
}

/// A list of the image, empty when it has none. Whatever links the image has in its place are
/// followed inside of it only.
fn list(root: &Path, name: &'static str) -> Result<String, AccountError> {
    let failed = |error: io::Error| AccountError::List(name, error);
    let top = rustix::fs::openat(CWD, root, OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
    let top = top.map_err(|error| failed(error.into()))?;
    let opened = openat2(
        &top,
        name,
        OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK,
        Mode::empty(),
        ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS,
    );
    let file = match opened {
        Ok(file) => File::from(file),
        Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => return Ok(String::new()),
        Err(error) => return Err(failed(error.into())),
    };
    if !file.metadata().map_err(failed)?.is_file() {
        return Ok(String::new());
    }
    let mut bytes = Vec::new();
    file.take(MAX_LIST)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const USERS: &str = "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1001::/home/user:/bin/sh\n7:x:9:9::/:\nbroken\n";
    const GROUPS: &str = "root:x:0:\nusers:x:1001:\naudio:x:29:user,other\nwheel:x:10:other,user\n";

    fn account(uid: u32, gid: u32, groups: &[u32], home: &str) -> Account {
        Account {
            uid,
            gid,
            groups: groups.to_vec(),
            home: home.to_owned(),
        }
    }

    #[test]
    fn users_are_what_engines_make_of_them() {
        for (user, expected) in [
            ("", account(0, 0, &[], "/root")),
            ("root", account(0, 0, &[], "/root")),
            ("user", account(1000, 1001, &[10, 29], "/home/user")),
            ("1000", account(1000, 1001, &[10, 29], "/home/user")),
            ("user:audio", account(1000, 29, &[], "/home/user")),
            ("user:5", account(1000, 5, &[], "/home/user")),
            ("4000", account(4000, 0, &[], "/")),
            ("4000:4001", account(4000, 4001, &[], "/")),
            ("7", account(7, 0, &[], "/")),
        ] {
            assert_eq!(resolve(user, USERS, GROUPS).unwrap(), expected, "{user}");
        }
        let error = resolve("nobody", USERS, GROUPS).unwrap_err().to_string();
        assert!(error.contains("\"nobody\" is not a user"), "{error}");
        let error = resolve("user:none", USERS, GROUPS).unwrap_err().to_string();
        assert!(error.contains("\"none\" is not a group"), "{error}");
    }

    #[test]
    fn links_lead_nowhere_outside() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("etc")).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", root.path().join("etc/passwd")).unwrap();
        // It leads to itself, inside.
        assert!(Account::find(root.path(), "root").is_err());
        assert_eq!(
            Account::find(tempfile::tempdir().unwrap().path(), "").unwrap(),
            account(0, 0, &[], "/")
        );
    }
}
