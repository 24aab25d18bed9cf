//! Every structure of an index, for people and programs that look into one.

use std::fmt;

use image_model::deflate::Window;
use image_model::dump::{Dumped, Teller};
use image_model::width::u64_from;

use super::header::Header;
use super::span::SpanRecord;
use super::{parts, records, runs};
use crate::index::GzipIndex;
use crate::span::Span;

impl GzipIndex {
    /// Prints every [structure](Self::structures) with its offset in the encoded index, one per line.
    ///
    /// # Errors
    /// Errors of `out`.
    pub fn dump(&self, out: &mut impl fmt::Write) -> fmt::Result {
        self.structures(&mut |dumped| writeln!(out, "{dumped}"))
    }

    /// Tells every structure by its offset in the [encoded](Self::encode) index: the header, the spans, and the
    /// compressed parts, see [`format`](mod@crate::format); each kept range by its offset in the varints, before they
    /// are compressed.
    ///
    /// Behind its stored fields a span has `stored_offset`, its first whole byte in the stream, `decoded_offset`, its
    /// first byte in the decoded stream, and `known`, the number of bytes of its window; a kept range has
    /// `decoded_offset`.
    ///
    /// # Errors
    /// Any error of `tell` ends it.
    pub fn structures<E>(
        &self,
        tell: &mut dyn FnMut(Dumped<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut teller = Teller { tell };
        let header = Header::of(self);
        let records = records(self);
        let parts = parts(self, &records);
        let sealed = header.sealed(parts);
        teller.structure(0, ("header", None), &header.fields(&sealed))?;
        let mut end = 0;
        for (nth, span) in self.spans.iter().enumerate() {
            self.tell_span(nth, span, end, &mut teller)?;
            end = span.stored_end();
        }
        let [records, windows, ranges, kept] = parts.map(|part| u64_from(part.len()));
        let at = u64_from(Header::LEN).saturating_add(records);
        let runs_len = header.runs.saturating_mul(u64_from(Window::RUN_LEN));
        let windows_len = header.known.saturating_add(runs_len);
        let fields = [("stored_len", windows.into()), ("len", windows_len.into())];
        teller.structure(at, ("windows", None), &fields)?;
        let at = at.saturating_add(windows);
        let fields = [
            ("stored_len", ranges.into()),
            ("len", header.ranges_len.into()),
        ];
        teller.structure(at, ("kept ranges", None), &fields)?;
        let mut end = 0;
        for (nth, (place, range)) in (0..).zip(self.kept.placed_ranges()) {
            let fields = [
                ("gap", range.start.saturating_sub(end).into()),
                ("len", range.end.saturating_sub(range.start).into()),
                ("decoded_offset", range.start.into()),
            ];
            teller.structure(place, ("kept range", Some(nth)), &fields)?;
            end = range.end;
        }
        let at = at.saturating_add(ranges);
        let fields = [("stored_len", kept.into()), ("len", header.kept.into())];
        teller.structure(at, ("kept bytes", None), &fields)
    }

    /// Tells of `span`, which is number `nth`, after one that ends at `end`.
    fn tell_span<E>(
        &self,
        nth: usize,
        span: &Span,
        end: u64,
        teller: &mut Teller<'_, E>,
    ) -> Result<(), E> {
        let record = SpanRecord::of(span, runs(self, span), end);
        let [gap, stored_len, decoded_len, runs, bits, kind, digest] = record.fields();
        let shared = u64::from(span.bits != 0);
        let window = span.window.and_then(|nth| self.windows.get(nth));
        let known = window.map_or(0, |window| u64_from(window.known().len()));
        teller.element(
            (u64_from(Header::LEN), SpanRecord::LEN),
            ("span", nth),
            &[
                gap,
                stored_len,
                decoded_len,
                runs,
                bits,
                kind,
                digest,
                (
                    "stored_offset",
                    span.stored_offset.saturating_add(shared).into(),
                ),
                ("decoded_offset", span.decoded_offset.into()),
                ("known", known.into()),
            ],
        )
    }
}
