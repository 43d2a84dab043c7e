//! Owns the order of the chapters: the ladder of the tutorial. A new chapter is a module and a line in each list here.

mod coroutine;
mod generators;
mod send;
mod errors;
mod delegation;
mod stackful;
mod event_loop;
mod waiting;
mod callbacks;
mod structured;
mod seeds;
pub(crate) mod cores;

use crate::tour::Chapter;

/// The ladder, lowest step first.
pub(crate) const CHAPTERS: &[Chapter] = &[
    coroutine::CHAPTER,
    generators::CHAPTER,
    send::CHAPTER,
    errors::CHAPTER,
    delegation::CHAPTER,
    stackful::CHAPTER,
    event_loop::CHAPTER,
    waiting::CHAPTER,
    callbacks::CHAPTER,
    structured::CHAPTER,
    seeds::CHAPTER,
    cores::CHAPTER,
];
