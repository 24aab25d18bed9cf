//! Users and groups of an image.

use std::collections::HashSet;

use crate::runtime::RuntimeError;

/// Largest id that is a user's or a group's.
const MAX_ID: u32 = i32::MAX as u32;

/// Most fields of a line.
const FIELDS: usize = 7;

/// What `/etc/passwd` and `/etc/group` of an image hold; nothing, if they are not there.
///
/// ```
/// use lazyoci_oci_image::runtime::Accounts;
/// let passwd = b"root:x:0:0::/root:/bin/sh\nweb:x:33:34::/srv:/bin/sh\n";
/// let group = b"web:x:34:\nlog:x:4:root,web\n";
/// let user = Accounts::new(passwd, group).user("web")?;
/// assert_eq!((user.uid, user.gid, &user.additional_gids[..]), (33, 34, &[34, 4][..]));
/// assert_eq!(user.home.as_deref(), Some("/srv"));
/// # Ok::<(), lazyoci_oci_image::runtime::RuntimeError>(())
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Accounts<'a> {
    passwd: &'a [u8],
    group: &'a [u8],
}

/// Whom a process runs as.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct User {
    /// The user.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// All groups, of which that is the first.
    pub additional_gids: Vec<u32>,
    /// The home directory, if the user is one of the image's.
    pub home: Option<String>,
}

impl<'a> Accounts<'a> {
    /// The files, with a line for each user and each group.
    #[must_use]
    pub fn new(passwd: &'a [u8], group: &'a [u8]) -> Self {
        Self { passwd, group }
    }

    /// Whom `USER[:GROUP]` means, each a name or a number; user 0 if it is empty.
    ///
    /// A number is that of a user, whatever users are called; it need not be one of the image's, and then has
    /// group 0. The first line counts. A user is in the groups that list it, unless a group is named. Lines
    /// without the numbers that they should have are passed over.
    ///
    /// Source: runc's `libcontainer/user`, `GetExecUser`, which takes such numbers for 0; that the group is
    /// among the additional ones is containerd's and Docker's answer to CVE-2022-36109.
    ///
    /// # Errors
    /// [`RuntimeError::NoUser`], [`RuntimeError::NoGroup`] for a name that is not there;
    /// [`RuntimeError::BadUser`] for what is no such text, or a number that is too large.
    pub fn user(&self, text: &str) -> Result<User, RuntimeError> {
        let bad = || RuntimeError::BadUser { text: text.into() };
        let mut parts = text.split(':');
        let (name, group) = (parts.next().unwrap_or_default(), parts.next());
        if parts.next().is_some() {
            return Err(bad());
        }
        let name = if name.is_empty() { "0" } else { name };
        let number = number(name).map_err(|()| bad())?;
        let found = entries(self.passwd).find_map(|fields| {
            let [found, _, uid, gid, ref rest @ ..] = fields[..] else {
                return None;
            };
            let (uid, gid) = (id(uid)?, id(gid)?);
            let home = rest.get(1).copied().unwrap_or_default();
            let is_it = number.map_or(found == name.as_bytes(), |number| uid == number);
            is_it.then_some((found, uid, gid, home))
        });
        let (name, mut user) = match (found, number) {
            (Some((name, uid, gid, home)), _) => {
                let home = String::from_utf8(home.into()).ok();
                let user = User {
                    uid,
                    gid,
                    home: home.filter(|home| !home.is_empty() && !home.contains('\0')),
                    ..User::default()
                };
                (Some(name), user)
            }
            (None, Some(uid)) => {
                let user = User {
                    uid,
                    ..User::default()
                };
                (None, user)
            }
            (None, None) => return Err(RuntimeError::NoUser { name: name.into() }),
        };
        match group.filter(|group| !group.is_empty()) {
            Some(group) => user.gid = self.group(group, bad)?,
            None => user.additional_gids = name.map_or_else(Vec::new, |name| self.groups_of(name)),
        }
        user.additional_gids.retain(|gid| *gid != user.gid);
        user.additional_gids.insert(0, user.gid);
        Ok(user)
    }

    /// The group of that name or number.
    fn group(&self, name: &str, bad: impl FnOnce() -> RuntimeError) -> Result<u32, RuntimeError> {
        if let Some(number) = number(name).map_err(|()| bad())? {
            return Ok(number);
        }
        let mut groups = self.groups();
        let found = groups.find_map(|(found, gid, _)| (found == name.as_bytes()).then_some(gid));
        found.ok_or_else(|| RuntimeError::NoGroup { name: name.into() })
    }

    /// The groups that list `user`, each once.
    fn groups_of(&self, user: &[u8]) -> Vec<u32> {
        let lists = |members: &[u8]| {
            let mut members = members.split(|&b| b == b',');
            members.any(|member| member == user && !user.is_empty())
        };
        let mut seen = HashSet::new();
        let groups = self.groups().filter(|(_, _, members)| lists(members));
        let gids = groups.map(|(_, gid, _)| gid);
        gids.filter(|gid| seen.insert(*gid)).collect()
    }

    fn groups(&self) -> impl Iterator<Item = (&'a [u8], u32, &'a [u8])> + use<'a> {
        entries(self.group).filter_map(|fields| match fields[..] {
            [name, _, gid, ref members @ ..] => {
                let members = members.first().copied().unwrap_or_default();
                Some((name, id(gid)?, members))
            }
            _ => None,
        })
    }
}

/// The lines of a file, in fields; further ones mean nothing.
fn entries(file: &[u8]) -> impl Iterator<Item = Vec<&[u8]>> {
    let lines = file.split(|&b| b == b'\n').map(<[u8]>::trim_ascii);
    let lines = lines.filter(|line| !line.is_empty());
    lines.map(|line| line.split(|&b| b == b':').take(FIELDS).collect())
}

/// The id in a field.
fn id(field: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(field).ok()?;
    number(text).ok().flatten()
}

/// The number that `text` is, if it is one; that is an error if it is no id.
fn number(text: &str) -> Result<Option<u32>, ()> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(None);
    }
    let number = text.parse().ok().filter(|number| *number <= MAX_ID);
    number.map(Some).ok_or(())
}
