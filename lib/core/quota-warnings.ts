/** Which clients have reached the warning threshold of their quota: for the index that knows them, and whoever asks it. */

/**
 * The rows of `client_quotas` that are in `idx_client_quotas_warned`. A statement finds them by this index when its
 * condition is this text, so that counting them costs what they are, not what all clients are.
 */
export const QUOTA_WARNED =
  'UsedBytes > 0 AND QuotaBytes < 9007199254740991 AND UsedBytes >= QuotaBytes * coalesce(WarningThreshold, 0.8)';
