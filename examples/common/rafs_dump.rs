//! Every structure of a RAFS bootstrap or an EROFS image as JSON.

use std::convert::Infallible;

use lazyoci::erofs_format::ErofsImage;
use lazyoci::model::BlobIndex;
use lazyoci::rafs_format::Bootstrap;
use lazyoci::rafs_format::blob::BlobMeta;
use lazyoci::rafs_format::dump::{Dumped, FieldValue, Structure};
use lazyoci::rafs_format::v7::V7Image;
use lazyoci::read::OpenImage;
use serde_json::{Value, json};

use super::chain;

/// A blob whose frames only its chunk information tells.
pub type WithContexts<'a> = (BlobIndex, &'a BlobMeta);

/// The chunk information of all blobs that have contexts, as far as it is there.
pub fn contexts(image: &OpenImage) -> Vec<WithContexts<'_>> {
    let Some(rafs) = image.rafs() else {
        return Vec::new();
    };
    let indexes = rafs.blobs_with_contexts();
    let loaded = indexes.filter_map(|index| Some((index, rafs.meta(index)?)));
    loaded.collect()
}

/// The structures of `bootstrap`, and of the chunk information of blobs with contexts, with the values of their fields.
pub fn dump(bootstrap: &Bootstrap, contexts: &[WithContexts<'_>]) -> Value {
    gathered(|tell| {
        bootstrap.structures(tell)?;
        let mut contexts = contexts.iter();
        contexts.try_for_each(|(index, meta)| meta.structures(*index, tell))
    })
}

/// The structures of `image`, with the values of their fields.
pub fn dump_erofs(image: &ErofsImage) -> Value {
    gathered(|tell| image.structures(tell))
}

/// The structures of the blobs and of the bootstrap of `image`, with the values of their fields.
pub fn dump_v7(image: &V7Image) -> Value {
    gathered(|tell| image.structures(tell))
}

type Tell<'t> = dyn FnMut(Dumped<'_>) -> Result<(), Infallible> + 't;

fn gathered(tell: impl FnOnce(&mut Tell<'_>) -> Result<(), Infallible>) -> Value {
    let mut structures = Vec::new();
    let told = tell(&mut |dumped| {
        structures.push(match dumped {
            Dumped::Structure(found) => structure(&found),
            Dumped::Unreadable(error) => json!({ "error": chain(error) }),
            other => json!({ "error": other.to_string() }),
        });
        Ok(())
    });
    match told {
        Ok(()) => json!({ "structures": structures }),
        Err(never) => match never {},
    }
}

fn structure(structure: &Structure<'_>) -> Value {
    let fields = structure.fields.iter();
    let fields = fields.map(|&(name, value)| (name.to_owned(), field(value)));
    json!({
        "structure": structure.name,
        "index": structure.index,
        "offset": structure.offset,
        "fields": Value::Object(fields.collect()),
    })
}

fn field(value: FieldValue<'_>) -> Value {
    match value {
        FieldValue::Number(number) | FieldValue::Word(number) => number.into(),
        FieldValue::Signed(number) => number.into(),
        FieldValue::Text(text) => text.escape_ascii().to_string().into(),
        other => other.to_string().into(),
    }
}
