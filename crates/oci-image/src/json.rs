//! Reading JSON objects without repeated keys. If a key is repeated, some readers use the first
//! value and some the last; Go also accepts a key in another case. Tools read such documents
//! differently, so they are refused here.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::{Map, Value};

/// A map that can tell whether a key is in it.
pub(crate) trait UniqueMap<V>: Default {
    /// Inserts, and returns whether the key was there already.
    fn replaces(&mut self, key: String, value: V) -> bool;
}

impl<V> UniqueMap<V> for std::collections::BTreeMap<String, V> {
    fn replaces(&mut self, key: String, value: V) -> bool {
        self.insert(key, value).is_some()
    }
}

impl UniqueMap<Value> for Map<String, Value> {
    fn replaces(&mut self, key: String, value: Value) -> bool {
        self.insert(key, value).is_some()
    }
}

/// An object whose keys are all different; `null` is an empty one, as in Go.
pub(crate) fn unique_keys<'de, D, M, V>(deserializer: D) -> Result<M, D::Error>
where
    D: Deserializer<'de>,
    M: UniqueMap<V>,
    V: Deserialize<'de>,
{
    deserializer.deserialize_any(UniqueKeys(PhantomData))
}

struct UniqueKeys<M, V>(PhantomData<(M, V)>);

impl<'de, M: UniqueMap<V>, V: Deserialize<'de>> Visitor<'de> for UniqueKeys<M, V> {
    type Value = M;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_unit<E: Error>(self) -> Result<M, E> {
        Ok(M::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<M, A::Error> {
        let mut map = M::default();
        while let Some(key) = entries.next_key::<String>()? {
            let value = entries.next_value()?;
            if map.replaces(key.clone(), value) {
                return Err(A::Error::custom(format_args!("duplicate key `{key}`")));
            }
        }
        Ok(map)
    }
}

/// What is left of an object when its `known` fields were taken out. Fields that differ from a known one
/// in case only are refused.
pub(crate) fn other_fields<'de, D: Deserializer<'de>>(
    deserializer: D,
    known: &[&str],
) -> Result<Map<String, Value>, D::Error> {
    let rest: Map<String, Value> = unique_keys(deserializer)?;
    for key in rest.keys() {
        if let Some(field) = known.iter().find(|field| fold(field).eq(fold(key))) {
            return Err(D::Error::custom(format_args!(
                "key `{key}` reads as `{field}` where case does not count"
            )));
        }
    }
    Ok(rest)
}

/// What Go's `encoding/json` compares when it looks for a field.
fn fold(key: &str) -> impl Iterator<Item = char> {
    key.chars().map(|c| match c {
        'ſ' => 's',
        '\u{212a}' => 'k',
        _ => c.to_ascii_lowercase(),
    })
}
