//! Owns how a stackless body may end: whether it can fail, and whether it sees errors.

use crate::error::{BoxError, Error};

/// Whether a body can fail: what its future's output `O` means.
pub trait Ending<O> {
    /// What the generator returns.
    type Return;
    /// What its `Iterator` gives.
    type Item<Y>;
    #[doc(hidden)]
    const MAY_CATCH: bool;

    #[doc(hidden)]
    fn end(output: O) -> Result<Self::Return, Error>;
    #[doc(hidden)]
    fn item<Y>(result: Result<Y, Error>) -> Self::Item<Y>;
}

/// A body that can't fail and does not see errors.
#[derive(Debug)]
pub enum Plain {}

impl<R> Ending<R> for Plain {
    type Return = R;
    type Item<Y> = Y;
    const MAY_CATCH: bool = false;

    #[inline(always)]
    fn end(output: R) -> Result<R, Error> {
        Ok(output)
    }

    #[inline(always)]
    fn item<Y>(result: Result<Y, Error>) -> Y {
        result.unwrap_or_else(|error| panic!("iterate over a generator through which an error passed: {error}"))
    }
}

/// A body that can fail and sees errors.
#[derive(Debug)]
pub enum Fallible {}

impl<R> Ending<Result<R, BoxError>> for Fallible {
    type Return = R;
    type Item<Y> = Result<Y, Error>;
    const MAY_CATCH: bool = true;

    #[inline(always)]
    fn end(output: Result<R, BoxError>) -> Result<R, Error> {
        output.map_err(|error| Error::new(error).raised())
    }

    #[inline(always)]
    fn item<Y>(result: Result<Y, Error>) -> Result<Y, Error> {
        result
    }
}
