//! eStargz blobs as a whole: those of other tools, our own, and broken ones.
#![allow(clippy::unwrap_used, reason = "tests")]

mod by_hand;
mod carry;
mod chunked;
mod common;
mod compare;
mod containers_reject;
mod containers_toc;
mod footer;
mod goldens;
mod open;
mod order;
mod properties;
mod reject;
mod shared_members;
mod split_check;
mod tar_split;
mod write;
