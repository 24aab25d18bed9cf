//! Chunked uploads.

use bytes::Bytes;
use ureq::http::header::CONTENT_TYPE;
use ureq::http::{HeaderName, HeaderValue, Method};

use super::content_range::uploaded;
use super::error::{At, RegistryError, RegistryErrorKind};
use super::exchange::{Body, Message};
use super::push::{OCTETS, Push, Session};
use super::turns::TurnState;

const CONTENT_RANGE: HeaderName = HeaderName::from_static("content-range");
/// Longest minimum piece that a registry may require.
const MAX_CHUNK_LEN: u64 = 1 << 30;

impl Push<'_> {
    /// Sends the blob in pieces, and resumes an interrupted piece where the registry says.
    pub(super) fn send_pieces(
        &self,
        mut session: Session,
        len: u64,
        turns: &mut TurnState,
        mut at: At,
    ) -> Result<(), RegistryError> {
        let len = len.max(session.min_chunk).min(MAX_CHUNK_LEN);
        let (mut offset, mut lost) = (0, 0);
        while offset < self.len {
            let end = self.len.min(offset + len);
            at.range = Some(offset..end);
            let error = match self.send_piece(&session, offset, end, &at) {
                Ok((next, taken)) => {
                    turns.progress(taken - offset);
                    (session, offset) = (next, taken);
                    continue;
                }
                Err(error) => error,
            };
            let astray = matches!(error.kind(), RegistryErrorKind::Status { status: 416, .. });
            if astray && lost < self.client.options().attempts {
                lost += 1;
            } else {
                turns.failed(self.client, self.repository.origin_only(), error)?;
            }
            at = turns.attempt(self.what, true, Some(offset..end));
            (session, offset) = self.progress(session, offset, end, &at)?;
        }
        at.range = None;
        self.close(&session.url, Body::Bytes(Bytes::new()), &at)
    }

    /// Sends one piece. Returns the next location of the session, and how many bytes of the blob the registry
    /// has.
    fn send_piece(
        &self,
        session: &Session,
        offset: u64,
        end: u64,
        at: &At,
    ) -> Result<(Session, u64), RegistryError> {
        let mut message = Message::new(Method::PATCH, session.url.clone());
        let range = HeaderValue::try_from(format!("{offset}-{}", end - 1));
        let range = range.map_err(|error| RegistryError::misuse(self.what, error.to_string()));
        message.headers.push((CONTENT_TYPE, OCTETS));
        message.headers.push((CONTENT_RANGE, range?));
        message.body = Body::Part {
            source: self.source,
            offset,
            len: end - offset,
        };
        let answer = self.send(&message, at)?;
        if !matches!(answer.status(), 202 | 204) {
            return Err(answer.refused(at));
        }
        // Without a range, the registry has all of it.
        let range = answer.header("range").map(str::to_owned);
        let taken = range.as_deref().map_or(Some(end), |range| {
            uploaded(range).map(|last| last.saturating_add(1))
        });
        let is_piece = |&taken: &u64| taken > offset && taken <= end;
        let Some(taken) = taken.filter(is_piece) else {
            let answered = range.unwrap_or_default().chars().take(64).collect();
            return Err(answer.error(at, RegistryErrorKind::Range { answered }));
        };
        Ok((self.session(answer, at)?, taken))
    }

    /// Queries the progress of a session that was interrupted between `offset` and `end`.
    fn progress(
        &self,
        session: Session,
        offset: u64,
        end: u64,
        at: &At,
    ) -> Result<(Session, u64), RegistryError> {
        let message = Message::new(Method::GET, session.url.clone());
        let answer = self.send(&message, at)?;
        if !matches!(answer.status(), 200 | 202 | 204) {
            return Err(answer.refused(at));
        }
        let range = answer.header("range").unwrap_or("0-0").to_owned();
        let taken = match uploaded(&range) {
            // `0-0` means one byte or none; it is taken as none.
            Some(0) => Some(0),
            last => last.map(|last| last.saturating_add(1)),
        };
        let Some(taken) = taken.filter(|&taken| taken >= offset && taken <= end) else {
            let answered = range.chars().take(64).collect();
            return Err(answer.error(at, RegistryErrorKind::Range { answered }));
        };
        let next = match answer.header("location") {
            Some(_) => self.session(answer, at)?,
            None => session,
        };
        Ok((next, taken))
    }
}
