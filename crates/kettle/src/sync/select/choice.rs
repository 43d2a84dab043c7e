//! Owns the choice among what is equally good: fair, and by a seed the same again.

use std::cell::Cell;

thread_local! {
    /// 0 where nobody has said it.
    static STATE: Cell<u64> = const { Cell::new(0) };
}

/// Has the choices of this thread begin again, as this seed says: from then on they are the same as after any other time
/// that this was called with it. A thread where it has not been called chooses at random; in a simulation, by its seed.
///
/// ```
/// use kettle::sync::{mpsc, select::{self, Select}};
///
/// let (sender, first) = mpsc::channel::<()>();
/// let second = mpsc::channel::<()>().1; // its sender has gone, so both are ready
/// drop(sender);
/// let mut choices = || -> Vec<usize> {
///     select::seed(7);
///     (0..10).map(|_| {
///         let (mut a, mut b) = (select::recv(&first), select::recv(&second));
///         let mut select = Select::new();
///         select.add(&mut a);
///         select.add(&mut b);
///         select.wait()
///     }).collect()
/// };
/// assert_eq!(choices(), choices());
/// ```
pub fn seed(seed: u64) {
    // Spread over all bits, and never 0.
    STATE.set(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
}

/// One of the numbers below `n`, which is not 0; each as often as the others.
pub(crate) fn choose(n: usize) -> usize {
    let mut state = STATE.get();
    if state == 0 {
        return kettle_rt::choose(n);
    }
    // Marsaglia's xorshift with 64 bits.
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    STATE.set(state);
    // The upper bits are the better ones.
    ((state >> 32).wrapping_mul(n as u64) >> 32) as usize
}
