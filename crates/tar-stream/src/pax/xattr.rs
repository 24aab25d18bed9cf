//! Extended attributes in PAX records.
//!
//! libarchive writes each attribute twice, as `SCHILY.xattr.` and as `LIBARCHIVE.xattr.`. GNU tar
//! writes `=` and `%` in names as `%3D` and `%25`; Go takes those literally.

use std::borrow::Cow;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use image_model::Xattrs;
use image_model::metadata::Xattr;

use super::bad_value;
use crate::error::{Refusal, TarError};

/// An attribute as its record has it.
#[derive(Debug)]
pub(crate) struct XattrRecord<'a> {
    name: Cow<'a, [u8]>,
    /// Whether the record is a `LIBARCHIVE.xattr.` one.
    encoded: bool,
    key: &'a [u8],
    value: &'a [u8],
}

impl<'a> XattrRecord<'a> {
    /// The attribute that a record holds, if it holds one.
    pub(crate) fn of(key: &'a [u8], value: &'a [u8]) -> Option<Self> {
        let (name, encoded) = if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
            (Cow::Borrowed(name), false)
        } else {
            (url_decoded(key.strip_prefix(b"LIBARCHIVE.xattr.")?), true)
        };
        Some(Self {
            name,
            encoded,
            key,
            value,
        })
    }
}

/// Puts the attributes of one member together; `offset` is that of its records.
pub(crate) fn merge(
    mut records: Vec<XattrRecord<'_>>,
    offset: u64,
    strict: bool,
) -> Result<Xattrs, TarError> {
    let refused = |reason| Err(TarError::Refused { offset, reason });
    // Of each name the last plain record comes last, behind the encoded ones.
    records.sort_by(|a, b| (&a.name, !a.encoded).cmp(&(&b.name, !b.encoded)));
    let mut merged: Vec<Xattr> = Vec::with_capacity(records.len());
    let mut previous: Option<(&[u8], bool)> = None;
    for XattrRecord {
        name,
        encoded,
        key,
        value,
    } in &records
    {
        if strict && !encoded && is_escaped(name) {
            return refused(Refusal::EscapedXattr {
                name: (**name).into(),
            });
        }
        let value = match encoded.then(|| BASE64.decode(value)) {
            None => (*value).into(),
            Some(Ok(value)) => value.into(),
            Some(Err(_)) if strict => return Err(bad_value(offset, key, value)),
            Some(Err(_)) => continue,
        };
        let twin = previous.filter(|(twin, _)| *twin == &**name);
        previous = Some((name, *encoded));
        let Some((_, twin_encoded)) = twin else {
            merged.push(Xattr {
                name: (**name).into(),
                value,
            });
            continue;
        };
        if let Some(last) = merged.last_mut() {
            if strict && twin_encoded == *encoded {
                return refused(Refusal::DuplicateRecord { key: (*key).into() });
            }
            if strict && last.value != value {
                return refused(Refusal::Xattrs {
                    name: last.name.clone(),
                });
            }
            last.value = value;
        }
    }
    Xattrs::new(merged).map_err(|source| TarError::Xattr { offset, source })
}

/// The record that every reader gives the attribute `name` for, if there is one; else one that
/// libarchive reads, and Go leaves out.
pub(crate) fn record<'v>(name: &[u8], value: &'v [u8]) -> (Vec<u8>, Cow<'v, [u8]>) {
    if !is_portable(name) {
        let key = [b"LIBARCHIVE.xattr.", &*url_encoded(name)].concat();
        return (key, BASE64.encode(value).into_bytes().into());
    }
    ([b"SCHILY.xattr.", name].concat(), value.into())
}

/// Whether an extended attribute of this name can be written into a tar so that every reader finds
/// it. PAX keys cannot hold `=`, and readers disagree on how to write it otherwise.
///
/// ```
/// use lazyoci_tar_stream::pax::is_portable;
/// assert!(is_portable(b"user.name"));
/// assert!(!is_portable(b"user.a=b"));
/// ```
#[must_use]
pub fn is_portable(name: &[u8]) -> bool {
    !name.contains(&b'=') && !is_escaped(name)
}

/// Whether GNU tar would read another name.
fn is_escaped(name: &[u8]) -> bool {
    name.windows(3).any(|w| w == b"%3D" || w == b"%25")
}

fn url_decoded(text: &[u8]) -> Cow<'_, [u8]> {
    if !text.contains(&b'%') {
        return Cow::Borrowed(text);
    }
    let hex = |digit: u8| u8::try_from(char::from(digit).to_digit(16)?).ok();
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, tail @ ..] = rest {
        let code = match tail {
            [high, low, ..] if *first == b'%' => hex(*high).zip(hex(*low)),
            _ => None,
        };
        match code {
            Some((high, low)) => {
                decoded.push(high << 4 | low);
                rest = &tail[2..];
            }
            None => {
                decoded.push(*first);
                rest = tail;
            }
        }
    }
    Cow::Owned(decoded)
}

/// Escapes everything but letters, digits and what needs no escape in a PAX key.
fn url_encoded(name: &[u8]) -> Vec<u8> {
    let mut encoded = Vec::with_capacity(name.len());
    for &byte in name {
        if byte.is_ascii_graphic() && !matches!(byte, b'%' | b'=') {
            encoded.push(byte);
        } else {
            encoded.extend_from_slice(format!("%{byte:02X}").as_bytes());
        }
    }
    encoded
}

/// Without padding, as libarchive writes it; read with or without.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(records: &[(&str, &str)], strict: bool) -> Result<Xattrs, TarError> {
        let records = records
            .iter()
            .filter_map(|(key, value)| XattrRecord::of(key.as_bytes(), value.as_bytes()));
        merge(records.collect(), 7, strict)
    }

    #[test]
    fn both_spellings_of_one_attribute_agree() {
        let records = [
            ("SCHILY.xattr.user.a", "\0\n"),
            ("LIBARCHIVE.xattr.user.a", "AAo"),
            ("LIBARCHIVE.xattr.user.%3D%41", "AAo="),
            ("SCHILY.xattr.user.empty", ""),
            ("SCHILY.acl.access", "u::rwx"),
        ];
        let xattrs = merged(&records, true).unwrap();
        let list: Vec<_> = xattrs.iter().map(|x| (&*x.name, &*x.value)).collect();
        let expected: [(&[u8], &[u8]); 3] = [
            (b"user.=A", b"\0\n"),
            (b"user.a", b"\0\n"),
            (b"user.empty", b""),
        ];
        assert_eq!(list, expected);
    }

    #[test]
    fn disagreement_is_refused_or_read_as_go() {
        type Case<'a> = (&'a [(&'a str, &'a str)], Refusal, &'a [u8]);
        let cases: [Case<'_>; 4] = [
            (
                &[("SCHILY.xattr.a", "1"), ("LIBARCHIVE.xattr.a", "Mg")],
                Refusal::Xattrs {
                    name: (*b"a").into(),
                },
                b"1",
            ),
            (
                &[("SCHILY.xattr.a", "1"), ("SCHILY.xattr.a", "2")],
                Refusal::DuplicateRecord {
                    key: (*b"SCHILY.xattr.a").into(),
                },
                b"2",
            ),
            (
                &[("LIBARCHIVE.xattr.a", "MQ"), ("LIBARCHIVE.xattr.a", "MQ")],
                Refusal::DuplicateRecord {
                    key: (*b"LIBARCHIVE.xattr.a").into(),
                },
                b"1",
            ),
            (
                &[("SCHILY.xattr.%25", "1")],
                Refusal::EscapedXattr {
                    name: (*b"%25").into(),
                },
                b"1",
            ),
        ];
        for (records, refusal, lenient) in cases {
            match merged(records, true) {
                Err(TarError::Refused { offset: 7, reason }) => assert_eq!(reason, refusal),
                other => panic!("{other:?}"),
            }
            let xattrs = merged(records, false).unwrap();
            assert_eq!(&*xattrs.iter().next().unwrap().value, lenient);
        }
    }

    #[test]
    fn bad_base64_is_corrupt_or_skipped() {
        for bad in ["A", "AAAAA", "A===", "A A=", "AA-_"] {
            let records = [("LIBARCHIVE.xattr.a", bad), ("SCHILY.xattr.b", "1")];
            assert!(matches!(
                merged(&records, true),
                Err(TarError::PaxValue { offset: 7, .. })
            ));
            assert_eq!(merged(&records, false).unwrap().len(), 1);
        }
    }

    #[test]
    fn names_go_both_ways() {
        let name = b"user.a=b%c \xff\n";
        assert_eq!(url_encoded(name), b"user.a%3Db%25c%20%FF%0A");
        assert_eq!(*url_decoded(&url_encoded(name)), *name);
        assert_eq!(*url_decoded(b"100%"), *b"100%");
    }
}
