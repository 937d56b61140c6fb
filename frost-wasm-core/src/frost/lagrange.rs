//! Lagrange weights over holder indices.

use k256::Scalar;

/// The weight of `index` when the values at `indices` are interpolated at `at`.
/// `None` when an index stands in `indices` twice.
pub(crate) fn weight(index: u16, indices: &[u16], at: u16) -> Option<Scalar> {
    let [x_i, x] = [index, at].map(|i| Scalar::from(u32::from(i)));
    let mut numerator = Scalar::ONE;
    let mut denominator = Scalar::ONE;
    let mut seen = false;
    for other in indices {
        if *other == index && !seen {
            seen = true;
            continue;
        }
        let x_j = Scalar::from(u32::from(*other));
        numerator *= x - x_j;
        denominator *= x_i - x_j;
    }
    Option::from(denominator.invert()).map(|inverse: Scalar| numerator * inverse)
}
