-- The schema of version 25. Written by `npm run schema:dump`; compared by the tests.

CREATE TABLE adopted_rows (
  ID INTEGER PRIMARY KEY AUTOINCREMENT,
  OldID BLOB,
  FileID BLOB NOT NULL,
  VersionNumber INTEGER NOT NULL,
  Facts TEXT
  );

CREATE TABLE adoption_notes (
  ID INTEGER PRIMARY KEY AUTOINCREMENT,
  SourceTable TEXT NOT NULL,
  RowID BLOB,
  ColumnName TEXT NOT NULL,
  Value BLOB,
  NotedAt TEXT NOT NULL
  );

CREATE TABLE catalog_identity (
  ID INTEGER PRIMARY KEY CHECK (ID = 1),
  DatabaseID VARCHAR(32) NOT NULL
  );

CREATE TABLE catalog_reports (
  ID INTEGER PRIMARY KEY AUTOINCREMENT,
  Kind TEXT NOT NULL,
  CreatedAt TEXT NOT NULL,
  Report TEXT NOT NULL
  );

CREATE TABLE catalog_writer (Covers INTEGER NOT NULL);

CREATE TABLE category_extensions (
  Extension VARCHAR(255) PRIMARY KEY,
  CategoryID INTEGER NOT NULL REFERENCES file_categories(ID) ON DELETE CASCADE
  );

CREATE TABLE client_activity (
  ID INTEGER PRIMARY KEY AUTOINCREMENT,
  ClientID BLOB(16) NOT NULL REFERENCES clients(ID),
  ActivityType VARCHAR(50) NOT NULL,
  Timestamp TEXT NOT NULL,
  FileCount INTEGER DEFAULT 0,
  BytesTransferred INTEGER DEFAULT 0
  , FileName VARCHAR(255), Reason TEXT);

CREATE INDEX idx_client_activity_client ON client_activity(ClientID);

CREATE TABLE client_deletions (
  ClientID BLOB(16) PRIMARY KEY,
  StartedAt TEXT NOT NULL,
  TouchedAt TEXT NOT NULL,
  Owner VARCHAR(64) NOT NULL
  );

CREATE TABLE client_quotas (
  ClientID BLOB(16) PRIMARY KEY REFERENCES clients(ID) ON DELETE CASCADE,
  QuotaBytes INTEGER NOT NULL DEFAULT 1073741824,
  UsedBytes INTEGER DEFAULT 0,
  LastUpdated TEXT NOT NULL,
  WarningThreshold REAL DEFAULT 0.8
  , FileCount INTEGER NOT NULL DEFAULT 0, FileBytes INTEGER NOT NULL DEFAULT 0);

CREATE INDEX idx_client_quotas_warned ON client_quotas(ClientID) WHERE UsedBytes > 0 AND QuotaBytes < 9007199254740991 AND UsedBytes >= QuotaBytes * coalesce(WarningThreshold, 0.8);

CREATE TRIGGER catalog_day_recorded AFTER UPDATE OF UsedBytes ON client_quotas BEGIN INSERT INTO daily_totals (Date, ClientID, Files, Bytes, UsedBytes)
  SELECT date('now'), ClientID, FileCount, FileBytes, coalesce(UsedBytes, 0) FROM client_quotas
  WHERE ClientID = NEW.ClientID AND 1 = 1
  ON CONFLICT (ClientID, Date)
  DO UPDATE SET Files = excluded.Files, Bytes = excluded.Bytes, UsedBytes = excluded.UsedBytes; END;

CREATE TABLE clients (
  ID BLOB(16) PRIMARY KEY,
  Name VARCHAR(255) UNIQUE NOT NULL,
  PublicKey BLOB(160),
  LastSeen TEXT NOT NULL,
  AESKey BLOB(32)
  );

CREATE INDEX idx_clients_lastseen ON clients(LastSeen);

CREATE INDEX idx_clients_name ON clients(Name);

CREATE TABLE daily_sizes (
  Date TEXT PRIMARY KEY,
  DatabaseBytes INTEGER NOT NULL,
  FreeDiskBytes INTEGER NOT NULL,
  StorageBytes INTEGER,
  MeasuredAt TEXT NOT NULL
  );

CREATE TABLE daily_totals (
  Date TEXT NOT NULL,
  ClientID BLOB(16) NOT NULL REFERENCES clients(ID) ON DELETE CASCADE,
  Files INTEGER NOT NULL,
  Bytes INTEGER NOT NULL,
  UsedBytes INTEGER NOT NULL,
  PRIMARY KEY (ClientID, Date)
  );

CREATE TABLE file_categories (
  ID INTEGER PRIMARY KEY AUTOINCREMENT,
  Name VARCHAR(50) UNIQUE NOT NULL,
  Description TEXT,
  DefaultPath VARCHAR(255),
  Color VARCHAR(7) DEFAULT '#007acc'
  );

CREATE TABLE file_totals (
  Category VARCHAR(50) NOT NULL,
  Extension VARCHAR(255) NOT NULL,
  SizeBand INTEGER NOT NULL,
  Verified INTEGER NOT NULL,
  Files INTEGER NOT NULL,
  Bytes INTEGER NOT NULL,
  PRIMARY KEY (Category, Extension, SizeBand, Verified)
  );

CREATE TABLE file_versions (
  ID INTEGER PRIMARY KEY AUTOINCREMENT,
  FileID BLOB(16) NOT NULL REFERENCES files(ID) ON DELETE CASCADE,
  VersionNumber INTEGER NOT NULL,
  PathName VARCHAR(255) NOT NULL,
  FileSize INTEGER,
  CreatedDate TEXT NOT NULL,
  IsActive BOOLEAN DEFAULT 1,
  VersionHash VARCHAR(64),
  ParentVersionID INTEGER
  , ModificationDate TEXT, CRC INTEGER, Verified BOOLEAN DEFAULT 0, MimeType VARCHAR(100), FileCategory VARCHAR(50), TransferDuration INTEGER, TransferSpeed INTEGER, CompressionRatio REAL, OperationID VARCHAR(128), OperationQuota TEXT);

CREATE INDEX idx_file_versions_content ON file_versions(replace(replace(replace(PathName, '/', ''), '\', ''), '.', ''));

CREATE UNIQUE INDEX idx_file_versions_number ON file_versions(FileID, VersionNumber);

CREATE UNIQUE INDEX idx_file_versions_operation ON file_versions(OperationID) WHERE OperationID IS NOT NULL;

CREATE TRIGGER catalog_version_deleted AFTER DELETE ON file_versions BEGIN
  UPDATE client_quotas SET UsedBytes = coalesce(UsedBytes, 0) + 0 - (CASE WHEN typeof(OLD.FileSize) = 'integer' AND OLD.FileSize BETWEEN 0 AND 9007199254740991 THEN OLD.FileSize ELSE 0 END),
  LastUpdated = strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
  WHERE ClientID = (SELECT ClientID FROM files WHERE ID = OLD.FileID); END;

CREATE TRIGGER catalog_version_inserted AFTER INSERT ON file_versions WHEN NOT EXISTS (SELECT 1 FROM catalog_writer WHERE Covers >= 24) BEGIN
  UPDATE client_quotas SET UsedBytes = coalesce(UsedBytes, 0) + (CASE WHEN typeof(NEW.FileSize) = 'integer' AND NEW.FileSize BETWEEN 0 AND 9007199254740991 THEN NEW.FileSize ELSE 0 END),
  LastUpdated = strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
  WHERE ClientID = (SELECT ClientID FROM files WHERE ID = NEW.FileID); END;

CREATE TRIGGER catalog_version_resized AFTER UPDATE OF FileSize ON file_versions BEGIN
  UPDATE client_quotas SET UsedBytes = coalesce(UsedBytes, 0) + (CASE WHEN typeof(NEW.FileSize) = 'integer' AND NEW.FileSize BETWEEN 0 AND 9007199254740991 THEN NEW.FileSize ELSE 0 END) - (CASE WHEN typeof(OLD.FileSize) = 'integer' AND OLD.FileSize BETWEEN 0 AND 9007199254740991 THEN OLD.FileSize ELSE 0 END),
  LastUpdated = strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
  WHERE ClientID = (SELECT ClientID FROM files WHERE ID = NEW.FileID); END;

CREATE TABLE files (
  ID BLOB(16) PRIMARY KEY,
  FileName VARCHAR(255) NOT NULL,
  PathName VARCHAR(255) NOT NULL,
  Verified BOOLEAN DEFAULT 0,
  FileSize INTEGER,
  ModificationDate TEXT,
  CRC INTEGER,
  ClientID BLOB(16) NOT NULL REFERENCES clients(ID) ON DELETE CASCADE
  , FileCategory VARCHAR(50) DEFAULT 'document', MimeType VARCHAR(100), FileExtension VARCHAR(10), OriginalPath TEXT, FileHash VARCHAR(64), TransferDuration INTEGER, TransferSpeed INTEGER, CompressionRatio REAL, CurrentVersion INTEGER NOT NULL DEFAULT 0, HighestVersion INTEGER NOT NULL DEFAULT 0);

CREATE INDEX idx_files_client_name ON files(ClientID, FileName, coalesce(OriginalPath, ''));

CREATE INDEX idx_files_filename ON files(FileName);

CREATE INDEX idx_files_size ON files(FileSize);

CREATE INDEX idx_files_unversioned ON files(replace(replace(replace(PathName, '/', ''), '\', ''), '.', '')) WHERE HighestVersion = 0;

CREATE TRIGGER catalog_file_counted AFTER INSERT ON files WHEN NOT EXISTS (SELECT 1 FROM catalog_writer WHERE Covers >= 24) BEGIN
  INSERT INTO file_totals (Category, Extension, SizeBand, Verified, Files, Bytes)
  VALUES (coalesce(NEW.FileCategory, ''), coalesce(NEW.FileExtension, ''), CASE WHEN (CASE WHEN typeof(NEW.FileSize) = 'integer' AND NEW.FileSize <= 9007199254740991
  THEN NEW.FileSize END) >= 1073741824 THEN 6 WHEN (CASE WHEN typeof(NEW.FileSize) = 'integer' AND NEW.FileSize <= 9007199254740991
  THEN NEW.FileSize END) >= 104857600 THEN 5 WHEN (CASE WHEN typeof(NEW.FileSize) = 'integer' AND NEW.FileSize <= 9007199254740991
  THEN NEW.FileSize END) >= 10485760 THEN 4 WHEN (CASE WHEN typeof(NEW.FileSize) = 'integer' AND NEW.FileSize <= 9007199254740991
  THEN NEW.FileSize END) >= 1048576 THEN 3 WHEN (CASE WHEN typeof(NEW.FileSize) = 'integer' AND NEW.FileSize <= 9007199254740991
  THEN NEW.FileSize END) >= 102400 THEN 2 WHEN (CASE WHEN typeof(NEW.FileSize) = 'integer' AND NEW.FileSize <= 9007199254740991
  THEN NEW.FileSize END) >= 1024 THEN 1 WHEN (CASE WHEN typeof(NEW.FileSize) = 'integer' AND NEW.FileSize <= 9007199254740991
  THEN NEW.FileSize END) >= 0 THEN 0 ELSE -1 END, CASE WHEN NEW.Verified = 1 THEN 1 ELSE 0 END, 1, (CASE WHEN typeof(NEW.FileSize) = 'integer' AND NEW.FileSize BETWEEN 0 AND 9007199254740991 THEN NEW.FileSize ELSE 0 END))
  ON CONFLICT (Category, Extension, SizeBand, Verified)
  DO UPDATE SET Files = Files + 1, Bytes = Bytes + excluded.Bytes; UPDATE client_quotas SET FileCount = FileCount + 1, FileBytes = FileBytes + ((CASE WHEN typeof(NEW.FileSize) = 'integer' AND NEW.FileSize BETWEEN 0 AND 9007199254740991 THEN NEW.FileSize ELSE 0 END))
  WHERE ClientID = NEW.ClientID; INSERT INTO daily_totals (Date, ClientID, Files, Bytes, UsedBytes)
  SELECT date('now'), ClientID, FileCount, FileBytes, coalesce(UsedBytes, 0) FROM client_quotas
  WHERE ClientID = NEW.ClientID AND NEW.HighestVersion = 0
  ON CONFLICT (ClientID, Date)
  DO UPDATE SET Files = excluded.Files, Bytes = excluded.Bytes, UsedBytes = excluded.UsedBytes; END;

CREATE TRIGGER catalog_file_deleted BEFORE DELETE ON files BEGIN
  DELETE FROM file_versions WHERE FileID = OLD.ID; END;

CREATE TRIGGER catalog_file_recounted AFTER UPDATE OF FileCategory, FileExtension, FileSize, Verified, ClientID ON files
  WHEN NOT EXISTS (SELECT 1 FROM catalog_writer WHERE Covers >= 24) AND (OLD.FileCategory IS NOT NEW.FileCategory OR OLD.FileExtension IS NOT NEW.FileExtension OR OLD.FileSize IS NOT NEW.FileSize OR OLD.Verified IS NOT NEW.Verified OR OLD.ClientID IS NOT NEW.ClientID) BEGIN
  INSERT INTO file_totals (Category, Extension, SizeBand, Verified, Files, Bytes)
  VALUES (coalesce(OLD.FileCategory, ''), coalesce(OLD.FileExtension, ''), CASE WHEN (CASE WHEN typeof(OLD.FileSize) = 'integer' AND OLD.FileSize <= 9007199254740991
  THEN OLD.FileSize END) >= 1073741824 THEN 6 WHEN (CASE WHEN typeof(OLD.FileSize) = 'integer' AND OLD.FileSize <= 9007199254740991
  THEN OLD.FileSize END) >= 104857600 THEN 5 WHEN (CASE WHEN typeof(OLD.FileSize) = 'integer' AND OLD.FileSize <= 9007199254740991
  THEN OLD.FileSize END) >= 10485760 THEN 4 WHEN (CASE WHEN typeof(OLD.FileSize) = 'integer' AND OLD.FileSize <= 9007199254740991
  THEN OLD.FileSize END) >= 1048576 THEN 3 WHEN (CASE WHEN typeof(OLD.FileSize) = 'integer' AND OLD.FileSize <= 9007199254740991
  THEN OLD.FileSize END) >= 102400 THEN 2 WHEN (CASE WHEN typeof(OLD.FileSize) = 'integer' AND OLD.FileSize <= 9007199254740991
  THEN OLD.FileSize END) >= 1024 THEN 1 WHEN (CASE WHEN typeof(OLD.FileSize) = 'integer' AND OLD.FileSize <= 9007199254740991
  THEN OLD.FileSize END) >= 0 THEN 0 ELSE -1 END, CASE WHEN OLD.Verified = 1 THEN 1 ELSE 0 END, -1, 0 - ((CASE WHEN typeof(OLD.FileSize) = 'integer' AND OLD.FileSize BETWEEN 0 AND 9007199254740991 THEN OLD.FileSize ELSE 0 END)))
  ON CONFLICT (Category, Extension, SizeBand, Verified)
  DO UPDATE SET Files = Files - 1, Bytes = Bytes + excluded.Bytes; INSERT INTO file_totals (Category, Extension, SizeBand, Verified, Files, Bytes)
  VALUES (coalesce(NEW.FileCategory, ''), coalesce(NEW.FileExtension, ''), CASE WHEN (CASE WHEN typeof(NEW.FileSize) = 'integer' AND NEW.FileSize <= 9007199254740991
  THEN NEW.FileSize END) >= 1073741824 THEN 6 WHEN (CASE WHEN typeof(NEW.FileSize) = 'integer' AND NEW.FileSize <= 9007199254740991
  THEN NEW.FileSize END) >= 104857600 THEN 5 WHEN (CASE WHEN typeof(NEW.FileSize) = 'integer' AND NEW.FileSize <= 9007199254740991
  THEN NEW.FileSize END) >= 10485760 THEN 4 WHEN (CASE WHEN typeof(NEW.FileSize) = 'integer' AND NEW.FileSize <= 9007199254740991
  THEN NEW.FileSize END) >= 1048576 THEN 3 WHEN (CASE WHEN typeof(NEW.FileSize) = 'integer' AND NEW.FileSize <= 9007199254740991
  THEN NEW.FileSize END) >= 102400 THEN 2 WHEN (CASE WHEN typeof(NEW.FileSize) = 'integer' AND NEW.FileSize <= 9007199254740991
  THEN NEW.FileSize END) >= 1024 THEN 1 WHEN (CASE WHEN typeof(NEW.FileSize) = 'integer' AND NEW.FileSize <= 9007199254740991
  THEN NEW.FileSize END) >= 0 THEN 0 ELSE -1 END, CASE WHEN NEW.Verified = 1 THEN 1 ELSE 0 END, 1, (CASE WHEN typeof(NEW.FileSize) = 'integer' AND NEW.FileSize BETWEEN 0 AND 9007199254740991 THEN NEW.FileSize ELSE 0 END))
  ON CONFLICT (Category, Extension, SizeBand, Verified)
  DO UPDATE SET Files = Files + 1, Bytes = Bytes + excluded.Bytes; UPDATE client_quotas SET FileCount = FileCount - 1, FileBytes = FileBytes - ((CASE WHEN typeof(OLD.FileSize) = 'integer' AND OLD.FileSize BETWEEN 0 AND 9007199254740991 THEN OLD.FileSize ELSE 0 END))
  WHERE ClientID = OLD.ClientID; UPDATE client_quotas SET FileCount = FileCount + 1, FileBytes = FileBytes + ((CASE WHEN typeof(NEW.FileSize) = 'integer' AND NEW.FileSize BETWEEN 0 AND 9007199254740991 THEN NEW.FileSize ELSE 0 END))
  WHERE ClientID = NEW.ClientID;
  INSERT INTO daily_totals (Date, ClientID, Files, Bytes, UsedBytes)
  SELECT date('now'), ClientID, FileCount, FileBytes, coalesce(UsedBytes, 0) FROM client_quotas
  WHERE ClientID = OLD.ClientID AND OLD.ClientID IS NOT NEW.ClientID
  ON CONFLICT (ClientID, Date)
  DO UPDATE SET Files = excluded.Files, Bytes = excluded.Bytes, UsedBytes = excluded.UsedBytes;
  INSERT INTO daily_totals (Date, ClientID, Files, Bytes, UsedBytes)
  SELECT date('now'), ClientID, FileCount, FileBytes, coalesce(UsedBytes, 0) FROM client_quotas
  WHERE ClientID = NEW.ClientID AND NEW.HighestVersion = OLD.HighestVersion
  ON CONFLICT (ClientID, Date)
  DO UPDATE SET Files = excluded.Files, Bytes = excluded.Bytes, UsedBytes = excluded.UsedBytes; END;

CREATE TRIGGER catalog_file_uncounted AFTER DELETE ON files BEGIN
  INSERT INTO file_totals (Category, Extension, SizeBand, Verified, Files, Bytes)
  VALUES (coalesce(OLD.FileCategory, ''), coalesce(OLD.FileExtension, ''), CASE WHEN (CASE WHEN typeof(OLD.FileSize) = 'integer' AND OLD.FileSize <= 9007199254740991
  THEN OLD.FileSize END) >= 1073741824 THEN 6 WHEN (CASE WHEN typeof(OLD.FileSize) = 'integer' AND OLD.FileSize <= 9007199254740991
  THEN OLD.FileSize END) >= 104857600 THEN 5 WHEN (CASE WHEN typeof(OLD.FileSize) = 'integer' AND OLD.FileSize <= 9007199254740991
  THEN OLD.FileSize END) >= 10485760 THEN 4 WHEN (CASE WHEN typeof(OLD.FileSize) = 'integer' AND OLD.FileSize <= 9007199254740991
  THEN OLD.FileSize END) >= 1048576 THEN 3 WHEN (CASE WHEN typeof(OLD.FileSize) = 'integer' AND OLD.FileSize <= 9007199254740991
  THEN OLD.FileSize END) >= 102400 THEN 2 WHEN (CASE WHEN typeof(OLD.FileSize) = 'integer' AND OLD.FileSize <= 9007199254740991
  THEN OLD.FileSize END) >= 1024 THEN 1 WHEN (CASE WHEN typeof(OLD.FileSize) = 'integer' AND OLD.FileSize <= 9007199254740991
  THEN OLD.FileSize END) >= 0 THEN 0 ELSE -1 END, CASE WHEN OLD.Verified = 1 THEN 1 ELSE 0 END, -1, 0 - ((CASE WHEN typeof(OLD.FileSize) = 'integer' AND OLD.FileSize BETWEEN 0 AND 9007199254740991 THEN OLD.FileSize ELSE 0 END)))
  ON CONFLICT (Category, Extension, SizeBand, Verified)
  DO UPDATE SET Files = Files - 1, Bytes = Bytes + excluded.Bytes; UPDATE client_quotas SET FileCount = FileCount - 1, FileBytes = FileBytes - ((CASE WHEN typeof(OLD.FileSize) = 'integer' AND OLD.FileSize BETWEEN 0 AND 9007199254740991 THEN OLD.FileSize ELSE 0 END))
  WHERE ClientID = OLD.ClientID; INSERT INTO daily_totals (Date, ClientID, Files, Bytes, UsedBytes)
  SELECT date('now'), ClientID, FileCount, FileBytes, coalesce(UsedBytes, 0) FROM client_quotas
  WHERE ClientID = OLD.ClientID AND 1 = 1
  ON CONFLICT (ClientID, Date)
  DO UPDATE SET Files = excluded.Files, Bytes = excluded.Bytes, UsedBytes = excluded.UsedBytes; END;

CREATE TRIGGER catalog_path_carried AFTER UPDATE OF PathName ON files
  WHEN NEW.PathName IS NOT OLD.PathName AND NEW.CurrentVersion = OLD.CurrentVersion BEGIN
  UPDATE file_versions SET PathName = NEW.PathName
  WHERE FileID = NEW.ID AND VersionNumber = NEW.CurrentVersion; END;

CREATE TRIGGER search_file_deleted AFTER DELETE ON files BEGIN INSERT INTO search_todo (FileRow) SELECT OLD.rowid WHERE NOT EXISTS (SELECT 1 FROM search_todo WHERE FileRow = OLD.rowid); END;

CREATE TRIGGER search_file_identified BEFORE UPDATE OF ID ON files WHEN OLD.ID IS NOT NEW.ID BEGIN INSERT INTO search_todo (FileRow) SELECT rowid FROM files
  WHERE ID = NEW.ID AND rowid NOT IN (SELECT FileRow FROM search_todo); END;

CREATE TRIGGER search_file_inserted AFTER INSERT ON files BEGIN INSERT INTO search_todo (FileRow) SELECT NEW.rowid WHERE NOT EXISTS (SELECT 1 FROM search_todo WHERE FileRow = NEW.rowid); END;

CREATE TRIGGER search_file_moved AFTER UPDATE ON files
  WHEN OLD.rowid <> NEW.rowid BEGIN INSERT INTO search_todo (FileRow) SELECT OLD.rowid WHERE NOT EXISTS (SELECT 1 FROM search_todo WHERE FileRow = OLD.rowid); INSERT INTO search_todo (FileRow) SELECT NEW.rowid WHERE NOT EXISTS (SELECT 1 FROM search_todo WHERE FileRow = NEW.rowid); END;

CREATE TRIGGER search_file_renamed AFTER UPDATE OF FileName, PathName ON files
  WHEN OLD.FileName IS NOT NEW.FileName OR OLD.PathName IS NOT NEW.PathName BEGIN INSERT INTO search_todo (FileRow) SELECT NEW.rowid WHERE NOT EXISTS (SELECT 1 FROM search_todo WHERE FileRow = NEW.rowid); END;

CREATE TRIGGER search_file_replaced BEFORE INSERT ON files BEGIN INSERT INTO search_todo (FileRow) SELECT rowid FROM files
  WHERE ID = NEW.ID AND rowid NOT IN (SELECT FileRow FROM search_todo); END;

CREATE TABLE maintenance_history (
  ID INTEGER PRIMARY KEY AUTOINCREMENT,
  Kind VARCHAR(50) NOT NULL,
  StartedAt TEXT NOT NULL,
  DurationMs INTEGER NOT NULL,
  Succeeded BOOLEAN NOT NULL,
  Detail TEXT
  );

CREATE INDEX idx_maintenance_history_kind ON maintenance_history(Kind, ID);

CREATE TABLE quarantined_files (
  ID INTEGER PRIMARY KEY AUTOINCREMENT,
  SourceTable TEXT NOT NULL,
  FileID BLOB,
  ClientID BLOB,
  FileName TEXT,
  Row TEXT NOT NULL,
  Reason TEXT NOT NULL,
  QuarantinedAt TEXT NOT NULL
  );

CREATE TABLE quota_reservations (
  ID BLOB(16) PRIMARY KEY,
  ClientID BLOB(16) NOT NULL REFERENCES clients(ID) ON DELETE CASCADE,
  Bytes INTEGER NOT NULL,
  ExpiresAt TEXT NOT NULL
  );

CREATE INDEX idx_quota_reservations_client ON quota_reservations(ClientID, ExpiresAt, Bytes);

CREATE INDEX idx_quota_reservations_expiry ON quota_reservations(ExpiresAt);

CREATE VIRTUAL TABLE search_index USING fts5(Name, Path, content='',
  contentless_delete=1, tokenize='trigram case_sensitive 1', detail=full);

CREATE TABLE search_todo (FileRow INTEGER PRIMARY KEY);

CREATE VIRTUAL TABLE search_vocabulary USING fts5vocab(search_index, row);

CREATE TABLE transfer_stats (
  Date TEXT PRIMARY KEY,
  TotalFiles INTEGER DEFAULT 0,
  TotalBytes INTEGER DEFAULT 0,
  SuccessfulTransfers INTEGER DEFAULT 0,
  FailedTransfers INTEGER DEFAULT 0,
  AverageFileSize INTEGER DEFAULT 0,
  PeakTransferSpeed INTEGER DEFAULT 0
  );

CREATE TABLE unchanged_operations (
  OperationID VARCHAR(128) PRIMARY KEY,
  FileID BLOB(16) NOT NULL REFERENCES files(ID) ON DELETE CASCADE,
  VersionNumber INTEGER NOT NULL
  , OperationQuota TEXT);

CREATE INDEX idx_unchanged_operations_file ON unchanged_operations(FileID);
