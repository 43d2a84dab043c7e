//! Draws what BENCHMARKS.md says: `docs/benchmarks.html`, a page of charts, and the table in each README.
//!
//! BENCHMARKS.md is the only source. The benchmarks write their tables into it, this reads them, and measures nothing. The same
//! BENCHMARKS.md gives the same page, byte for byte, so that a test can say that nobody has forgotten to draw it anew.
//!
//! | module | what it owns |
//! |---|---|
//! | [`page`] | BENCHMARKS.md as rows and contenders |
//! | [`pairs`] | who is compared with whom, and who is ahead |
//! | [`svg`] | a picture: lines, marks and texts in it, and a scale |
//! | [`chart`] | the charts: all rows at a glance, and one row with all its contenders |
//! | [`html`] | the page around the charts |
//! | [`headline`] | the READMEs' tables |
#![forbid(unsafe_code)]

pub mod page;
pub mod pairs;
pub mod svg;
pub mod chart;
pub mod html;
pub mod headline;
