/** The outbox is published in this many independent parts, by the hash of the aggregate id. */
export const SHARDS = 16

/** First key of the shards' advisory locks; the second is the shard. */
export const SHARD_LOCK_CLASS = 0x6f757462
