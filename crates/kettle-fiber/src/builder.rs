//! Owns how coroutines are made: the short functions, and the [`Builder`] behind them.

use crate::body::FiberBody;
use crate::class::{Class, DEFAULT_STACK_SIZE, Reason, StackError};
use crate::coroutine::Coroutine;
use crate::scoped::Scoped;
use crate::stack::{Stack, Stacks};
use crate::yielder::Yielder;
use kettle_gen::{BoxError, Error};

/// Makes a generator of a closure, on a stack of its own. Its `y` is the [`Yielder`]: `y.yield_(value)` is Python's
/// `yield value`, and works at any call depth.
///
/// Nothing runs until it is resumed. The stack has [`DEFAULT_STACK_SIZE`]; [`Builder`] sets another, and a name. Dropping
/// the coroutine while it is suspended unwinds that stack, which poisons a lock that is held there; see [`Coroutine`].
///
/// ```
/// use kettle_fiber::{Yielder, coroutine};
///
/// struct Tree(Option<Box<(Tree, i32, Tree)>>);
///
/// fn walk(y: &mut Yielder<i32>, tree: &Tree) {
///     if let Some(node) = &tree.0 {
///         walk(y, &node.0);
///         y.yield_(node.1);
///         walk(y, &node.2);
///     }
/// }
///
/// let leaf = |n| Tree(Some(Box::new((Tree(None), n, Tree(None)))));
/// let tree = Tree(Some(Box::new((leaf(1), 2, leaf(3)))));
/// assert_eq!(coroutine(move |y| walk(y, &tree)).collect::<Vec<_>>(), [1, 2, 3]);
/// ```
///
/// # Panics
///
/// If there is no stack to be had, as `std::thread::spawn` does; [`Builder::coroutine`] gives an error instead.
pub fn coroutine<Y, S, R>(body: impl FnOnce(&mut Yielder<Y, S>) -> R + 'static) -> Coroutine<Y, S, R>
where
    Y: 'static,
    S: 'static,
    R: 'static,
{
    Builder::new().coroutine(body).unwrap_or_else(|error| panic!("{error}"))
}

/// Makes a coroutine of a closure that can fail: an `Err` is raised like an exception, and reaches whoever resumed the
/// coroutine or a `try_yield_from` on the way. Any error can be raised by `?`.
///
/// ```
/// use kettle_fiber::try_coroutine;
/// use kettle_gen::Generator;
///
/// let mut numbers = try_coroutine(|y| {
///     for word in "1 2 x 4".split(' ') {
///         y.yield_(word.parse::<i32>()?);
///     }
///     Ok(())
/// });
/// let results: Vec<_> = numbers.try_iter().collect();
/// assert_eq!(results.len(), 3);
/// assert!(results[2].is_err());
/// # let _: kettle_fiber::Coroutine<i32, ()> = numbers;
/// ```
///
/// # Panics
///
/// If there is no stack to be had.
pub fn try_coroutine<Y, S, R>(
    body: impl FnOnce(&mut Yielder<Y, S>) -> Result<R, BoxError> + 'static,
) -> Coroutine<Y, S, R>
where
    Y: 'static,
    S: 'static,
    R: 'static,
{
    Builder::new().try_coroutine(body).unwrap_or_else(|error| panic!("{error}"))
}

/// Makes a coroutine of a closure that borrows, and uses it in another one. When that returns or panics, what is left
/// of the coroutine is closed and unwound: a lock that is held on its stack is poisoned. Where panics abort it can't be
/// unwound, and the process ends. Gives what `consumer` returned.
///
/// ```
/// use kettle_fiber::scoped;
///
/// let text = String::from("no copy is made");
/// let longest = scoped(
///     |y| {
///         for word in text.split(' ') {
///             y.yield_(word);
///         }
///     },
///     |words| words.max_by_key(|word| word.len()),
/// );
/// assert_eq!(longest, Some("made"));
/// ```
///
/// # Panics
///
/// If there is no stack to be had, and with the panics of both closures.
pub fn scoped<Y, S, R, T>(
    body: impl FnOnce(&mut Yielder<Y, S>) -> R,
    consumer: impl FnOnce(Scoped<'_, Y, S, R>) -> T,
) -> T {
    Builder::new().scoped(body, consumer).unwrap_or_else(|error| panic!("{error}"))
}

/// What a coroutine is to have: a name, a size of stack. The words are those of `std::thread::Builder`.
///
/// ```
/// use kettle_fiber::{Builder, Yielder};
///
/// let body = |y: &mut Yielder<_>| y.yield_("fetched");
/// let fetch = Builder::new().name("fetch").stack_size(256 * 1024).coroutine(body)?;
/// assert_eq!(fetch.name(), Some("fetch"));
/// assert_eq!(fetch.stack_size(), 256 * 1024);
///
/// // What can't be had is an error that hands the body back.
/// let error = Builder::new().stack_size(0).coroutine(body).unwrap_err();
/// assert!(error.is_zero_size());
/// let mut again = Builder::new().coroutine(error.into_body())?;
/// assert_eq!(again.next(), Some("fetched"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Builder {
    name: Option<Box<str>>,
    stack_size: usize,
}

impl Builder {
    /// No name, and [`DEFAULT_STACK_SIZE`].
    pub fn new() -> Self {
        Self { name: None, stack_size: DEFAULT_STACK_SIZE }
    }

    /// The name that the message of an overflow and `Debug` give.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into().into_boxed_str());
        self
    }

    /// The size of the stack in bytes, guard page included.
    ///
    /// It is rounded up to a power of two and to [`MIN_STACK_SIZE`](crate::MIN_STACK_SIZE). It is address space: memory
    /// is used where the stack is touched.
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.stack_size = bytes;
        self
    }

    /// Makes a [`coroutine`](coroutine()).
    ///
    /// # Errors
    ///
    /// If the stack can't be had: a size of 0, one larger than the machine's memory, or the system refused.
    pub fn coroutine<Y, S, R, F>(self, body: F) -> Result<Coroutine<Y, S, R>, StackError<F>>
    where
        F: FnOnce(&mut Yielder<Y, S>) -> R + 'static,
        Y: 'static,
        S: 'static,
        R: 'static,
    {
        match self.stack() {
            Ok(stack) => Ok(Coroutine::new(FiberBody::owned(stack, |y| Ok(body(y))))),
            Err(reason) => Err(StackError::new(reason, body)),
        }
    }

    /// Makes a [`try_coroutine`](try_coroutine()).
    ///
    /// # Errors
    ///
    /// If the stack can't be had.
    pub fn try_coroutine<Y, S, R, F>(self, body: F) -> Result<Coroutine<Y, S, R>, StackError<F>>
    where
        F: FnOnce(&mut Yielder<Y, S>) -> Result<R, BoxError> + 'static,
        Y: 'static,
        S: 'static,
        R: 'static,
    {
        match self.stack() {
            Ok(stack) => {
                Ok(Coroutine::new(FiberBody::owned(stack, |y| body(y).map_err(|error| Error::new(error).raised()))))
            }
            Err(reason) => Err(StackError::new(reason, body)),
        }
    }

    /// Makes a [`scoped`](scoped()) coroutine.
    ///
    /// # Errors
    ///
    /// If the stack can't be had. Both functions are handed back.
    pub fn scoped<Y, S, R, T, F, C>(self, body: F, consumer: C) -> Result<T, StackError<(F, C)>>
    where
        F: FnOnce(&mut Yielder<Y, S>) -> R,
        C: FnOnce(Scoped<'_, Y, S, R>) -> T,
    {
        let stack = match self.stack() {
            Ok(stack) => stack,
            Err(reason) => return Err(StackError::new(reason, (body, consumer))),
        };
        // SAFETY: the coroutine is this function's own: it is dropped when `consumer` returns or panics, before anything
        // that the function was called with goes.
        let fiber = unsafe { FiberBody::borrowing(stack, |y| Ok(body(y))) };
        let mut coroutine = Coroutine::new(fiber);
        let result = consumer(Scoped::new(&mut coroutine));
        drop(coroutine);
        Ok(result)
    }

    fn stack(self) -> Result<Stack, Reason> {
        Stacks::of_class(Class::of(self.stack_size)?).take_or("coroutine", self.name)
    }
}

impl Default for Builder {
    fn default() -> Self {
        Self::new()
    }
}
