//! Maps without their sort: `collect` sorts first, with a sort of its own for each kind of entry, which is more than 1 KB of
//! the program each time. These insert one by one.

use std::collections::BTreeMap;

/// Of a repeated key the last value counts.
pub fn map_of<K: Ord, V>(entries: impl IntoIterator<Item = (K, V)>) -> BTreeMap<K, V> {
    let mut map = BTreeMap::new();
    map.extend(entries);
    map
}
