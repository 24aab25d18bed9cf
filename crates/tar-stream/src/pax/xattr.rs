//! Extended attributes in PAX records. libarchive writes each attribute twice, as `SCHILY.xattr.` and as
//! `LIBARCHIVE.xattr.`, and only libarchive reads the latter: without the former, no runtime sets the attribute. GNU
//! tar writes `=` and `%` in names as `%3D` and `%25`; Go reads those literally.

use std::borrow::Cow;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use image_model::Xattrs;
use image_model::advisory::Oddity;
use image_model::metadata::Xattr;

use super::bad_value;
use crate::error::{Refusal, TarError};

/// An attribute as stored in its record.
#[derive(Debug)]
pub(crate) struct XattrRecord<'a> {
    name: Cow<'a, [u8]>,
    /// Whether the record is a `LIBARCHIVE.xattr.` one.
    encoded: bool,
    key: &'a [u8],
    value: &'a [u8],
}

impl<'a> XattrRecord<'a> {
    /// The attribute in a record, if it has one.
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

/// Collects the attributes of one member; `offset` is that of its records.
pub(crate) fn merge(
    mut records: Vec<XattrRecord<'_>>,
    offset: u64,
    strict: bool,
    oddities: &mut Vec<Oddity>,
) -> Result<Xattrs, TarError> {
    let refused = |reason| Err(TarError::Refused { offset, reason });
    // Of each name the last plain record comes last, after the encoded ones.
    records.sort_by(|a, b| (&a.name, !a.encoded).cmp(&(&b.name, !b.encoded)));
    let mut merged: Vec<Xattr> = Vec::with_capacity(records.len());
    for same in records.chunk_by(|a, b| a.name == b.name) {
        let plain = same.partition_point(|record| record.encoded);
        let (encoded, plain) = same.split_at(plain);
        if strict {
            check_encoded(encoded, plain.last(), offset)?;
        }
        let Some(last) = plain.last() else { continue };
        if strict && is_escaped(&last.name) {
            let name = (*last.name).into();
            return refused(Refusal::EscapedXattr { name });
        }
        if strict && plain.iter().any(|record| record.value != last.value) {
            let key = last.key.into();
            return refused(Refusal::DuplicateRecord { key });
        }
        if plain.len() > 1 {
            // Names can be long, and advisories are kept.
            let key = last.key[..last.key.len().min(64)].into();
            oddities.push(Oddity::RepeatedRecord { key });
        }
        merged.push(Xattr {
            name: (*last.name).into(),
            value: last.value.into(),
        });
    }
    Xattrs::new(merged).map_err(|source| TarError::Xattr { offset, source })
}

/// Refuses encoded records that contradict the plain one.
fn check_encoded(
    encoded: &[XattrRecord<'_>],
    plain: Option<&XattrRecord<'_>>,
    offset: u64,
) -> Result<(), TarError> {
    for record in encoded {
        let XattrRecord { key, value, .. } = *record;
        let Ok(decoded) = BASE64.decode(value) else {
            return Err(bad_value(offset, key, value));
        };
        let name = (*record.name).into();
        let reason = match plain {
            None => Refusal::LibarchiveXattr { name },
            Some(plain) if plain.value != decoded => Refusal::Xattrs { name },
            Some(_) => continue,
        };
        return Err(TarError::Refused { offset, reason });
    }
    Ok(())
}

/// Whether an extended attribute of this name can be written to a tar so that every reader finds
/// it. PAX keys cannot contain `=`, and readers disagree on how to escape it.
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

/// Whether GNU tar would read a different name.
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
        merge(records.collect(), 7, strict, &mut Vec::new())
    }

    #[test]
    fn both_spellings_of_one_attribute_agree() {
        let records = [
            ("SCHILY.xattr.user.a", "\0\n"),
            ("LIBARCHIVE.xattr.user.a", "AAo"),
            ("LIBARCHIVE.xattr.user.%61", "AAo="),
            ("SCHILY.xattr.user.empty", ""),
            ("SCHILY.acl.access", "u::rwx"),
        ];
        let xattrs = merged(&records, true).unwrap();
        let list: Vec<_> = xattrs.iter().map(|x| (&*x.name, &*x.value)).collect();
        let expected: [(&[u8], &[u8]); 2] = [(b"user.a", b"\0\n"), (b"user.empty", b"")];
        assert_eq!(list, expected);
    }

    #[test]
    fn equal_values_of_one_attribute_are_an_oddity() {
        let key = b"SCHILY.xattr.a";
        let records = [XattrRecord::of(key, b"1"), XattrRecord::of(key, b"1")];
        let mut oddities = Vec::new();
        let records = records.into_iter().flatten().collect();
        let xattrs = merge(records, 7, true, &mut oddities).unwrap();
        assert_eq!(xattrs.value(b"a"), Some(&b"1"[..]));
        let key = (*key).into();
        assert_eq!(oddities, [Oddity::RepeatedRecord { key }]);
    }

    #[test]
    fn disagreement_is_refused_or_read_as_go() {
        type Case<'a> = (&'a [(&'a str, &'a str)], Refusal, Option<&'a [u8]>);
        let name = (*b"a").into();
        let cases: [Case<'_>; 4] = [
            (
                &[("SCHILY.xattr.a", "1"), ("LIBARCHIVE.xattr.a", "Mg")],
                Refusal::Xattrs {
                    name: (*b"a").into(),
                },
                Some(b"1"),
            ),
            (
                &[("SCHILY.xattr.a", "1"), ("SCHILY.xattr.a", "2")],
                Refusal::DuplicateRecord {
                    key: (*b"SCHILY.xattr.a").into(),
                },
                Some(b"2"),
            ),
            (
                &[("LIBARCHIVE.xattr.a", "MQ")],
                Refusal::LibarchiveXattr { name },
                None,
            ),
            (
                &[("SCHILY.xattr.%25", "1")],
                Refusal::EscapedXattr {
                    name: (*b"%25").into(),
                },
                Some(b"1"),
            ),
        ];
        for (records, refusal, lenient) in cases {
            match merged(records, true) {
                Err(TarError::Refused { offset: 7, reason }) => assert_eq!(reason, refusal),
                other => panic!("{other:?}"),
            }
            let xattrs = merged(records, false).unwrap();
            assert_eq!(xattrs.iter().next().map(|xattr| &*xattr.value), lenient);
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
    fn names_are_url_decoded() {
        let name = b"user.a=b%c \xff\n";
        assert_eq!(*url_decoded(b"user.a%3Db%25c%20%FF%0A"), *name);
        assert_eq!(*url_decoded(b"100%"), *b"100%");
    }
}
