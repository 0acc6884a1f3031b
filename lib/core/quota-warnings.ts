/** The condition of clients that have reached the warning threshold of their quota, for its index and for queries. */

/**
 * The rows of `client_quotas` that are in `idx_client_quotas_warned`. A statement with exactly this condition uses the
 * index, so that counting them does not read all clients.
 */
export const QUOTA_WARNED =
  'UsedBytes > 0 AND QuotaBytes < 9007199254740991 AND UsedBytes >= QuotaBytes * coalesce(WarningThreshold, 0.8)';
