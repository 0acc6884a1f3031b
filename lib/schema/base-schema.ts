/** Versions 0 to 5: the schema of the Python server, column for column, so that its SQL keeps working. */
import type { MigrationStep } from './migration.ts';

const base: MigrationStep = {
  name: 'base-schema',
  up: [
    `CREATE TABLE clients (
      ID BLOB(16) PRIMARY KEY,
      Name VARCHAR(255) UNIQUE NOT NULL,
      PublicKey BLOB(160),
      LastSeen TEXT NOT NULL,
      AESKey BLOB(32)
    )`,
    `CREATE TABLE files (
      ID BLOB(16) PRIMARY KEY,
      FileName VARCHAR(255) NOT NULL,
      PathName VARCHAR(255) NOT NULL,
      Verified BOOLEAN DEFAULT 0,
      FileSize INTEGER,
      ModificationDate TEXT,
      CRC INTEGER,
      ClientID BLOB(16) NOT NULL REFERENCES clients(ID) ON DELETE CASCADE
    )`,
  ],
  down: ['DROP TABLE files', 'DROP TABLE clients'],
  declares: { down: ['DROP TABLE'] },
  loses: 'every client and every file',
  safeVersion: null,
};

const INDEXES: Readonly<Record<string, string>> = {
  idx_files_client_id: 'files(ClientID)',
  idx_files_filename: 'files(FileName)',
  idx_clients_name: 'clients(Name)',
  idx_files_verified: 'files(Verified)',
  idx_clients_lastseen: 'clients(LastSeen)',
  idx_files_size: 'files(FileSize)',
  idx_files_client_verified: 'files(ClientID, Verified)',
  idx_files_client_name: 'files(ClientID, FileName)',
};

const performanceIndexes: MigrationStep = {
  name: 'performance-indexes',
  up: Object.entries(INDEXES).map(([name, columns]) => `CREATE INDEX ${name} ON ${columns}`),
  down: Object.keys(INDEXES).map((name) => `DROP INDEX ${name}`),
  safeVersion: 0,
};

const METADATA: Readonly<Record<string, string>> = {
  FileCategory: "VARCHAR(50) DEFAULT 'document'",
  MimeType: 'VARCHAR(100)',
  FileExtension: 'VARCHAR(10)',
  OriginalPath: 'TEXT',
  FileHash: 'VARCHAR(64)',
  TransferDuration: 'INTEGER',
  TransferSpeed: 'INTEGER',
  CompressionRatio: 'REAL',
};

const fileMetadata: MigrationStep = {
  name: 'extended-file-metadata',
  up: Object.entries(METADATA).map(([column, type]) => `ALTER TABLE files ADD COLUMN ${column} ${type}`),
  down: Object.keys(METADATA).map((column) => `ALTER TABLE files DROP COLUMN ${column}`),
  declares: { down: ['DROP COLUMN'] },
  loses: 'category, MIME type, extension, original path, hash and transfer figures of files',
  cost: { table: 'files', upMicroseconds: 0, downMicroseconds: 10, bytes: 0 },
  safeVersion: 0,
};

const analytics: MigrationStep = {
  name: 'analytics-tables',
  up: [
    `CREATE TABLE transfer_stats (
      Date TEXT PRIMARY KEY,
      TotalFiles INTEGER DEFAULT 0,
      TotalBytes INTEGER DEFAULT 0,
      SuccessfulTransfers INTEGER DEFAULT 0,
      FailedTransfers INTEGER DEFAULT 0,
      AverageFileSize INTEGER DEFAULT 0,
      PeakTransferSpeed INTEGER DEFAULT 0
    )`,
    `CREATE TABLE client_activity (
      ID INTEGER PRIMARY KEY AUTOINCREMENT,
      ClientID BLOB(16) NOT NULL REFERENCES clients(ID),
      ActivityType VARCHAR(50) NOT NULL,
      Timestamp TEXT NOT NULL,
      FileCount INTEGER DEFAULT 0,
      BytesTransferred INTEGER DEFAULT 0
    )`,
    `CREATE TABLE file_categories (
      ID INTEGER PRIMARY KEY AUTOINCREMENT,
      Name VARCHAR(50) UNIQUE NOT NULL,
      Description TEXT,
      DefaultPath VARCHAR(255),
      Color VARCHAR(7) DEFAULT '#007acc'
    )`,
  ],
  down: ['DROP TABLE file_categories', 'DROP TABLE client_activity', 'DROP TABLE transfer_stats'],
  declares: { down: ['DROP TABLE'] },
  loses: 'transfer statistics, activity and categories',
  safeVersion: 0,
};

const quotas: MigrationStep = {
  name: 'client-quotas',
  up: [
    `CREATE TABLE client_quotas (
      ClientID BLOB(16) PRIMARY KEY REFERENCES clients(ID) ON DELETE CASCADE,
      QuotaBytes INTEGER NOT NULL DEFAULT 1073741824,
      UsedBytes INTEGER DEFAULT 0,
      LastUpdated TEXT NOT NULL,
      WarningThreshold REAL DEFAULT 0.8
    )`,
  ],
  down: ['DROP TABLE client_quotas'],
  declares: { down: ['DROP TABLE'] },
  loses: 'the quotas of clients',
  safeVersion: 0,
};

const versions: MigrationStep = {
  name: 'file-versions',
  up: [
    `CREATE TABLE file_versions (
      ID INTEGER PRIMARY KEY AUTOINCREMENT,
      FileID BLOB(16) NOT NULL REFERENCES files(ID) ON DELETE CASCADE,
      VersionNumber INTEGER NOT NULL,
      PathName VARCHAR(255) NOT NULL,
      FileSize INTEGER,
      CreatedDate TEXT NOT NULL,
      IsActive BOOLEAN DEFAULT 1,
      VersionHash VARCHAR(64),
      ParentVersionID INTEGER
    )`,
  ],
  down: ['DROP TABLE file_versions'],
  declares: { down: ['DROP TABLE'] },
  loses: 'every version of a file except the current one',
  safeVersion: 0,
};

export const baseSchema: readonly MigrationStep[] = [
  base,
  performanceIndexes,
  fileMetadata,
  analytics,
  quotas,
  versions,
];
