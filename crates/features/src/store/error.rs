//! What can go wrong with a store where someone is there to be told. Assembly never is.

/// Each is a full sentence.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("{url:?} is not a store: {why}")]
    Url { url: String, why: String },
    #[error(
        "another process has the feature store at {path} open: an embedded store belongs to one process, so stop that one, use another path, or use Redis"
    )]
    Locked { path: String },
    #[error("the feature store at {path} can't be opened: {why}")]
    Open { path: String, why: String },
    #[error("the feature store can't be reached: {why}")]
    Unavailable { why: String },
    #[error("the feature store refused the rows: {why}")]
    Write { why: String },
    /// For as long as this process lives: the embedded store does not trust a journal of which it
    /// does not know what is on the disk. What it has is still read.
    #[error(
        "the feature store no longer writes since its disk failed ({why}): make room there, or mend it, and restart this process; what was acknowledged is kept"
    )]
    Broken { why: String },
    #[error(
        "view `{view}` is read from Redis hashes, and the feature store, {url:?}, is no Redis: name a Redis as `url` of [store], or take `hash` from the view and load its rows"
    )]
    NoHashes { view: String, url: String },
    #[error(
        "a row of view `{view}` does not match the catalog: it was made from other definitions"
    )]
    OtherCatalog { view: String },
}
