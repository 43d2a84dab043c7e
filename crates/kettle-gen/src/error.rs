//! Owns what can go wrong in a generator: one opaque [`Error`], and [`SendError`], which hands the value back.
//!
//! Every kind is one of Python's exceptions. Bodies raise and catch the same type that callers throw.

use alloc::boxed::Box;
use core::error::Error as StdError;
use core::fmt;

/// Any error value; what a fallible body returns.
pub type BoxError = Box<dyn StdError + Send + Sync>;

/// An error on its way through a generator: thrown into it, raised by its body, or the protocol's own refusal.
///
/// It is Python's exception object. [`Error::new`] wraps any error value; [`Error::exit`] is `GeneratorExit`; the
/// other kinds are made by this crate and are recognised by the questions below.
///
/// That a generator has finished is said by that generator alone ([PEP 479](https://peps.python.org/pep-0479/)). A body
/// that lets out what *another* one has said of itself has failed: its own generator raises an error that wraps the
/// other's, as Python makes a `RuntimeError` of a `StopIteration`. So nobody takes the one's end for the other's:
///
/// ```
/// use kettle_gen::{Error, Generator, TryYielder, Yielder, generator, try_generator};
///
/// let mut g = try_generator(async |y: &mut TryYielder<u32>| {
///     let mut inner = generator(async |y: &mut Yielder<u32>| { y.yield_(1).await; });
///     inner.close()?;
///     inner.resume()?; // It has finished, which is an error here.
///     Ok(())
/// });
/// let error = g.next().unwrap().unwrap_err();
/// assert!(!error.is_finished());
/// assert!(error.downcast_ref::<Error>().is_some_and(Error::is_finished));
/// ```
///
/// ```
/// use kettle_gen::{Error, Generator, Yielder, generator};
///
/// let mut g = generator(async |y: &mut Yielder<_>| { y.yield_(1).await; });
/// g.resume()?;
/// // The body does not handle errors, so this one comes straight back.
/// let error = g.throw(Error::new("no more, thanks")).unwrap_err();
/// assert_eq!(error.to_string(), "no more, thanks");
/// assert!(g.resume().unwrap_err().is_finished());
/// # Ok::<(), Error>(())
/// ```
pub struct Error(Kind);

enum Kind {
    Finished,
    Running(Option<Box<Error>>),
    NotStarted,
    Waiting,
    NoSend,
    IgnoredExit,
    Exit,
    Raised(BoxError),
}

impl Error {
    /// Wraps an error value, to be thrown into a generator or raised by a fallible body.
    ///
    /// Takes what [`BoxError`] can be made from: error types, `&str`, `String`. A boxed [`Error`]
    /// is unwrapped, so that sending one through `?` keeps what it is.
    pub fn new(error: impl Into<BoxError>) -> Self {
        match error.into().downcast::<Self>() {
            Ok(own) => *own,
            Err(other) => Self(Kind::Raised(other)),
        }
    }

    /// Python's `GeneratorExit`: asks a body to end. [`close`](crate::Generator::close) throws it.
    pub const fn exit() -> Self {
        Self(Kind::Exit)
    }

    /// Whether the generator had already ended when it was resumed (Python: `StopIteration`).
    ///
    /// It speaks of the generator that gave the error, never of one that this one's body resumed: what leaves a body is
    /// wrapped (PEP 479; see above).
    pub fn is_finished(&self) -> bool {
        matches!(self.0, Kind::Finished)
    }

    /// Whether the generator was resumed from within itself (Python: "generator already executing").
    pub fn is_running(&self) -> bool {
        matches!(self.0, Kind::Running(_))
    }

    /// Whether a value was sent to a generator that had not reached its first yield (Python: "can't send non-None
    /// value to a just-started generator").
    pub fn is_not_started(&self) -> bool {
        matches!(self.0, Kind::NotStarted)
    }

    /// Whether the body awaits a future that is not ready, so that only polling it as a `Stream` can go on.
    pub fn is_waiting(&self) -> bool {
        matches!(self.0, Kind::Waiting)
    }

    /// Whether a value was sent over a plain iterator, which can take none (Python: "has no attribute 'send'").
    pub fn is_no_send(&self) -> bool {
        matches!(self.0, Kind::NoSend)
    }

    /// Whether a body yielded when it was asked to end (Python: "generator ignored GeneratorExit").
    pub fn is_ignored_exit(&self) -> bool {
        matches!(self.0, Kind::IgnoredExit)
    }

    /// Whether this is [`Error::exit`], the request to end.
    pub fn is_exit(&self) -> bool {
        matches!(self.0, Kind::Exit)
    }

    /// The wrapped error value, if there is one and it is an `E`.
    pub fn downcast_ref<E: StdError + 'static>(&self) -> Option<&E> {
        match &self.0 {
            Kind::Raised(error) => error.downcast_ref(),
            _ => None,
        }
    }

    /// Takes the wrapped error value out, as a `match` on the type of an exception does.
    ///
    /// # Errors
    ///
    /// Gives the error back unchanged if it does not wrap an `E`.
    pub fn downcast<E: StdError + 'static>(self) -> Result<E, Self> {
        match self.0 {
            Kind::Raised(error) => match error.downcast() {
                Ok(error) => Ok(*error),
                Err(error) => Err(Self(Kind::Raised(error))),
            },
            kind => Err(Self(kind)),
        }
    }

    /// The refusal of a generator that has ended.
    pub const fn finished() -> Self {
        Self(Kind::Finished)
    }

    /// This error, as it is when it has left a body: one that says "finished" becomes a raised one with that inside (PEP
    /// 479). For those who make bodies of a new kind.
    pub fn raised(self) -> Self {
        match self.0 {
            Kind::Finished => Self(Kind::Raised(Box::new(self))),
            kind => Self(kind),
        }
    }

    /// The refusal of a generator that is running.
    pub const fn running() -> Self {
        Self(Kind::Running(None))
    }

    /// The refusal of a generator that is running to have an error thrown into it.
    pub fn refused(thrown: Error) -> Self {
        Self(Kind::Running(Some(Box::new(thrown))))
    }

    /// The error that was thrown at a running generator and did not get in.
    pub fn into_refused(self) -> Option<Self> {
        match self.0 {
            Kind::Running(thrown) => thrown.map(|thrown| *thrown),
            _ => None,
        }
    }

    /// The refusal of a value by a generator that has not been started.
    pub const fn not_started() -> Self {
        Self(Kind::NotStarted)
    }

    /// The refusal of a body that yielded when it was asked to end.
    pub const fn ignored_exit() -> Self {
        Self(Kind::IgnoredExit)
    }

    pub(crate) const fn waiting() -> Self {
        Self(Kind::Waiting)
    }

    /// The refusal of a value by an iterator that is delegated to.
    pub const fn no_send() -> Self {
        Self(Kind::NoSend)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            Kind::Finished => "resume a generator that has finished",
            Kind::Running(_) => "resume a generator that is running: its body, or a delegate of it, resumed it",
            Kind::NotStarted => "send a value to a generator that was not started: resume it to its first yield before",
            Kind::Waiting => "resume a generator whose body awaits a future: poll it as a stream",
            Kind::NoSend => "send a value over a plain iterator: it can only be asked for the next one",
            Kind::IgnoredExit => "close a generator whose body yielded instead of ending",
            Kind::Exit => "generator exit",
            Kind::Raised(error) => return error.fmt(f),
        })
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match &self.0 {
            Kind::Finished => "Finished",
            Kind::Running(_) => "Running",
            Kind::NotStarted => "NotStarted",
            Kind::Waiting => "Waiting",
            Kind::NoSend => "NoSend",
            Kind::IgnoredExit => "IgnoredExit",
            Kind::Exit => "Exit",
            Kind::Raised(error) => return f.debug_tuple("Raised").field(error).finish(),
        };
        f.write_str(name)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match &self.0 {
            Kind::Raised(error) => error.source(),
            _ => None,
        }
    }
}

/// A failed [`send`](crate::Generator::send): the error, and the value if it did not reach the body.
pub struct SendError<S> {
    error: Error,
    value: Option<S>,
}

impl<S> SendError<S> {
    /// Pairs an error with the value that was refused, for those who implement [`Generator`](crate::Generator).
    pub fn new(error: Error, value: Option<S>) -> Self {
        Self { error, value }
    }

    /// What went wrong.
    pub fn error(&self) -> &Error {
        &self.error
    }

    /// What went wrong, without the value.
    pub fn into_error(self) -> Error {
        self.error
    }

    /// The value, unless the body had received it before it failed.
    pub fn into_value(self) -> Option<S> {
        self.value
    }

    /// The error and the value.
    pub fn into_parts(self) -> (Error, Option<S>) {
        (self.error, self.value)
    }
}

impl<S> fmt::Display for SendError<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<S> fmt::Debug for SendError<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendError").field("error", &self.error).field("value_returned", &self.value.is_some()).finish()
    }
}

impl<S> StdError for SendError<S> {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.error.source()
    }
}

impl<S> From<SendError<S>> for Error {
    fn from(error: SendError<S>) -> Self {
        error.error
    }
}

impl<S> From<Error> for SendError<S> {
    fn from(error: Error) -> Self {
        Self { error, value: None }
    }
}
