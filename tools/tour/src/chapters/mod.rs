//! Owns the order of the chapters: the ladder of the tutorial. A new chapter is a module and a line in each list here.

mod coroutine;
mod generators;
mod send;
mod errors;
mod delegation;
mod stackful;

use crate::tour::Chapter;

/// The ladder, lowest step first. The chapters of the runtime (event loop, tasks, workers) follow at its end.
pub(crate) const CHAPTERS: &[Chapter] =
    &[coroutine::CHAPTER, generators::CHAPTER, send::CHAPTER, errors::CHAPTER, delegation::CHAPTER, stackful::CHAPTER];
