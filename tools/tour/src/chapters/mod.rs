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

use crate::tour::Chapter;

/// The ladder, lowest step first. The chapter on workers follows at its end.
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
];
