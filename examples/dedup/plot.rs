//! A picture of what images share.

use std::fmt::Write as _;

use lazyoci::convert::Duplication;

/// Pixels of the longest bar.
const WIDTH: u64 = 600;
/// Pixels on the left for names.
const LEFT: u64 = 260;
const LINE: u64 = 22;

/// An SVG with a bar for each image and each way to cut: its different bytes, shared ones first.
pub(crate) fn draw(names: &[String], found: &[Duplication]) -> String {
    let images = found.iter().flat_map(|way| &way.images);
    let longest = images.map(|image| image.distinct_len).max().unwrap_or(0);
    let scale = |len: u64| u128::from(len) * u128::from(WIDTH) / u128::from(longest.max(1));
    let lines: u64 = found.iter().map(|way| way.images.len() as u64 + 2).sum();
    let (width, height) = (LEFT + WIDTH + 140, (lines + 2) * LINE);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"white\"/>\n"
    );
    let mut y = LINE;
    // Writing to a text does not fail.
    let mut put = |line: std::fmt::Arguments<'_>| {
        let _ = svg.write_fmt(line);
    };
    for (x, color, what) in [
        (10, "#4878a8", "shared"),
        (110, "#e08030", "in one image only"),
    ] {
        put(format_args!(
            "<rect x=\"{x}\" y=\"{}\" width=\"12\" height=\"12\" fill=\"{color}\"/>\n\
             <text x=\"{}\" y=\"{y}\">{what}</text>\n",
            y - 11,
            x + 18,
        ));
    }
    for way in found {
        y += 2 * LINE;
        put(format_args!(
            "<text x=\"10\" y=\"{y}\" font-weight=\"bold\">{}</text>\n",
            way.chunking
        ));
        for (name, image) in names.iter().zip(&way.images) {
            y += LINE;
            let shared = scale(image.shared_len);
            let alone = scale(image.distinct_len.saturating_sub(image.shared_len));
            let top = y - 13;
            put(format_args!(
                "<text x=\"10\" y=\"{y}\">{}</text>\n\
                 <rect x=\"{LEFT}\" y=\"{top}\" width=\"{shared}\" height=\"16\" fill=\"#4878a8\"/>\n\
                 <rect x=\"{}\" y=\"{top}\" width=\"{alone}\" height=\"16\" fill=\"#e08030\"/>\n\
                 <text x=\"{}\" y=\"{y}\">{} B</text>\n",
                escaped(name),
                u128::from(LEFT) + shared,
                u128::from(LEFT) + shared + alone + 6,
                image.distinct_len,
            ));
        }
    }
    svg.push_str("</svg>\n");
    svg
}

/// The end of a name, as text in XML.
fn escaped(name: &str) -> String {
    const MOST: usize = 36;
    let count = name.chars().count();
    let mut text = String::new();
    if count > MOST {
        text.push('\u{2026}');
    }
    for letter in name.chars().skip(count.saturating_sub(MOST)) {
        match letter {
            '<' => text.push_str("&lt;"),
            '>' => text.push_str("&gt;"),
            '&' => text.push_str("&amp;"),
            letter if letter.is_control() => text.push('?'),
            letter => text.push(letter),
        }
    }
    text
}
