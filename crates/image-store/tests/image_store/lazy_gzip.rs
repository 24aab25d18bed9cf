//! A gzip layer in a registry, which stays as it is and is read by an index beside it.

use std::ops::Range;
use std::sync::Arc;

use flate2::Compression;
use flate2::write::GzEncoder;
use image_read::gzip_index::IndexOptions;
use image_read::{Follow, LayerIndex, OpenImage, OpenOptions, ZtocOptions};
use lazyoci_image_store::oci_image::{LayerCompression, LayerType, MediaType};
use lazyoci_image_store::{ImageStore, ImageTarget as _, Layout, ResolvedImage, resolve};
use registry_double::Registry;

use crate::registries::{copy_all, store, target};
use crate::support::{Images, tar};

/// Text that deflate makes four times shorter or so.
fn text() -> Vec<u8> {
    let mut state = 1_u32;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        b'a' + (state >> 30) as u8
    };
    std::iter::repeat_with(next).take(2_000_000).collect()
}

/// An image of one layer in a registry.
struct Remote {
    registry: Registry,
    layer: Vec<u8>,
    store: Arc<dyn ImageStore>,
    image: ResolvedImage,
}

impl Remote {
    fn new(text: &[u8]) -> Self {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        let tar = tar(&[("text", text)]);
        std::io::Write::write_all(&mut encoder, &tar).unwrap();
        let layer = encoder.finish().unwrap();
        let mut images = Images::new();
        let media_type = MediaType::Layer(LayerType::oci(LayerCompression::Gzip));
        let image = images.image(vec![images.object(media_type, &layer)]);
        images.list(image.clone());
        let registry = Registry::new();
        let target = target(&registry, "app");
        let layout = Layout::open(images.path()).unwrap();
        copy_all(&layout, &target, &image).unwrap();
        target.publish(Some("v1"), &image).unwrap();
        let store = store(&registry, "app:v1");
        let image = resolve(&*store, None, None).unwrap();
        Self {
            registry,
            layer,
            store,
            image,
        }
    }

    fn open(&self, index: &LayerIndex) -> OpenImage {
        let options = OpenOptions::default().index(index.clone());
        self.image.open_layer(&*self.store, 0, &options).unwrap()
    }

    /// The ranges of the layer that `read` asks the registry for.
    fn asked(&self, read: impl FnOnce()) -> Vec<Range<u64>> {
        let before = self.registry.lines().len();
        read();
        let digest = verify::sha256(&self.layer).to_string();
        let range = |line: &String| {
            let (what, range) = line.split_once(" bytes=").unwrap();
            assert!(
                what.starts_with("GET ") && what.ends_with(&digest),
                "{line}"
            );
            let (first, last) = range.split_once('-').unwrap();
            first.parse().unwrap()..last.parse::<u64>().unwrap() + 1
        };
        self.registry.lines()[before..].iter().map(range).collect()
    }
}

/// Where spans lie: stored and decoded.
type Places = Vec<(Range<u64>, Range<u64>)>;

fn own(layer: &[u8]) -> (LayerIndex, Places) {
    let options = IndexOptions::default().max_stored_span(40_000);
    let index = LayerIndex::build(layer, &options, &Default::default(), &mut ()).unwrap();
    let spans = index.gzip().unwrap().spans().iter();
    let places = spans.map(|span| {
        let stored = span.stored_offset..span.stored_end();
        (stored, span.decoded_offset..span.decoded_end())
    });
    let places = places.collect();
    (index, places)
}

fn ztoc(layer: &[u8]) -> (LayerIndex, Places) {
    let options = ZtocOptions::default().span_size(200_000);
    let index = LayerIndex::build_ztoc(layer, &options, &Default::default(), &mut ()).unwrap();
    let ztoc = index.ztoc().unwrap();
    let span = |nth| ztoc.span(nth).unwrap();
    let places = (0..ztoc.span_count()).map(|nth| (span(nth).stored, span(nth).decoded));
    let places = places.collect();
    (index, places)
}

#[test]
fn a_range_costs_the_spans_that_hold_it_and_nothing_else() {
    let text = text();
    let remote = Remote::new(&text);
    for (index, places) in [own(&remote.layer), ztoc(&remote.layer)] {
        assert!(places.len() > 6, "{}", places.len());
        let opened = remote.asked(|| drop(remote.open(&index)));
        // Of a zTOC nothing vouches for the header of the first member, so it is looked at.
        let header = 0..10;
        let expected = index.ztoc().map(|_| header);
        assert_eq!(opened, Vec::from_iter(expected));
        for (nth, (stored, decoded)) in places.iter().enumerate().take(5).skip(1) {
            // The content of the file begins after its header.
            for (start, spans) in [
                (decoded.start - 512, 1),
                (decoded.start - 512 + 7_777, 1),
                (decoded.end - 512 - 4_096, 1),
                (decoded.end - 512 - 100, 2),
            ] {
                let image = remote.open(&index);
                let file = image.resolve("/text", Follow::All).unwrap();
                let mut read = Vec::new();
                let asked = remote.asked(|| {
                    let range = start..start + 4_096;
                    image.read_range(file, range, &mut read).unwrap();
                });
                assert!(read == text[start as usize..][..4_096]);
                assert_eq!(image.reader().frames().decoded(), spans);
                let end = match spans {
                    1 => stored.end,
                    _ => places[nth + 1].0.end,
                };
                let len: u64 = asked.iter().map(|range| range.end - range.start).sum();
                let from = asked.first().unwrap().start;
                assert_eq!((from, len), (stored.start, end - stored.start));
            }
        }
    }
}
