//! Releases of nydus-image to be compatible with.

use std::fmt;
use std::str::FromStr;

/// Which release of nydus-image a writer reproduces byte for byte, where its bytes are a function
/// of the input. Both are read by every release since 2.2.
///
/// ```
/// use lazyoci_rafs_format::flags::Compat;
/// assert_eq!("2.2".parse(), Ok(Compat::V2_2));
/// assert_eq!(Compat::default().to_string(), "2.4");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Compat {
    /// 2.2.0: no cipher flag, no device addresses, no inode numbers, no CRCs; chunk information is
    /// always compressed with zstd.
    V2_2,
    /// 2.4.4.
    #[default]
    V2_4,
}

impl fmt::Display for Compat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V2_2 => "2.2",
            Self::V2_4 => "2.4",
        })
    }
}

/// Text that names no [`Compat`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a supported release: expected `2.4` or `2.2`")]
pub struct ParseCompatError {
    /// The text.
    pub text: String,
}

impl FromStr for Compat {
    type Err = ParseCompatError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "2.2" => Ok(Self::V2_2),
            "2.4" => Ok(Self::V2_4),
            _ => Err(ParseCompatError { text: text.into() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compat_names() {
        for text in ["2.2", "2.4"] {
            assert_eq!(text.parse::<Compat>().unwrap().to_string(), text);
        }
        let error = ParseCompatError { text: "2.3".into() };
        assert_eq!("2.3".parse::<Compat>(), Err(error));
    }
}
