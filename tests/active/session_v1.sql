-- A session as version 1 stored it; never to be changed.
PRAGMA application_id = 1668435265;
PRAGMA user_version = 1;
BEGIN TRANSACTION;
CREATE TABLE descriptors (
        entry INTEGER PRIMARY KEY, logit REAL NOT NULL, latents BLOB NOT NULL);
CREATE TABLE journal (
        id INTEGER PRIMARY KEY AUTOINCREMENT, time TEXT NOT NULL, annotator TEXT NOT NULL,
        kind TEXT NOT NULL, candidate INTEGER, micrograph INTEGER, x REAL, y REAL,
        proposal INTEGER, target INTEGER);
INSERT INTO "journal" VALUES(1,'2026-01-01T00:00:01.000+00:00','old','confirm',2,0,1600.0,400.0,1,NULL);
INSERT INTO "journal" VALUES(2,'2026-01-01T00:00:02.000+00:00','old','reject',3,0,2200.0,400.0,2,NULL);
INSERT INTO "journal" VALUES(3,'2026-01-01T00:00:03.000+00:00','old','skip',5,0,3400.0,400.0,3,NULL);
INSERT INTO "journal" VALUES(4,'2026-01-01T00:00:04.000+00:00','old','move',8,0,1700.0,1000.0,4,NULL);
INSERT INTO "journal" VALUES(5,'2026-01-01T00:00:05.000+00:00','old','add',NULL,1,700.0,700.0,NULL,NULL);
INSERT INTO "journal" VALUES(6,'2026-01-01T00:00:06.000+00:00','old','undo',NULL,NULL,NULL,NULL,NULL,5);
CREATE TABLE micrographs (
        id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, path TEXT NOT NULL, listed REAL,
        pixel_size REAL, ny INTEGER, nx INTEGER, state TEXT NOT NULL, cause TEXT NOT NULL,
        first INTEGER NOT NULL, count INTEGER NOT NULL,
        size INTEGER, mtime_ns INTEGER, checksum TEXT NOT NULL);
INSERT INTO "micrographs" VALUES(0,'mics/m0.mrc','/nowhere/m0.mrc',NULL,1.0,4000,4000,'ready','',0,36,NULL,NULL,'');
INSERT INTO "micrographs" VALUES(1,'mics/m1.mrc','/nowhere/m1.mrc',NULL,1.0,4000,4000,'ready','',36,36,NULL,NULL,'');
CREATE TABLE proposals (
        id INTEGER PRIMARY KEY AUTOINCREMENT, time TEXT NOT NULL, version INTEGER NOT NULL,
        candidate INTEGER NOT NULL, micrograph INTEGER NOT NULL, x REAL NOT NULL,
        y REAL NOT NULL, strategy TEXT NOT NULL, reason TEXT NOT NULL, score REAL NOT NULL);
INSERT INTO "proposals" VALUES(1,'2026-01-01T00:00:00.000+00:00',0,2,0,0.0,0.0,'mix','uncertain',0.5);
INSERT INTO "proposals" VALUES(2,'2026-01-01T00:00:00.000+00:00',0,3,0,0.0,0.0,'mix','uncertain',0.5);
INSERT INTO "proposals" VALUES(3,'2026-01-01T00:00:00.000+00:00',0,5,0,0.0,0.0,'mix','uncertain',0.5);
INSERT INTO "proposals" VALUES(4,'2026-01-01T00:00:00.000+00:00',0,8,0,0.0,0.0,'mix','uncertain',0.5);
INSERT INTO "proposals" VALUES(5,'2026-01-01T00:00:00.000+00:00',0,40,1,0.0,0.0,'mix','uncertain',0.5);
INSERT INTO "proposals" VALUES(6,'2026-01-01T00:00:00.000+00:00',0,44,1,0.0,0.0,'mix','uncertain',0.5);
CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL);
INSERT INTO "settings" VALUES('settings','{"diameter":200.0,"pixel_size":null,"model":"default","model_sha256":"0000000000000000000000000000000000000000000000000000000000000000","seed":1,"batch":10,"strategy":"mix"}');
CREATE TABLE versions (
        version INTEGER PRIMARY KEY, time TEXT NOT NULL, journal INTEGER NOT NULL,
        positives INTEGER NOT NULL, negatives INTEGER NOT NULL, estimate TEXT NOT NULL,
        changed REAL NOT NULL, seconds REAL NOT NULL, head BLOB NOT NULL);
CREATE TRIGGER journal_keeps BEFORE UPDATE ON journal
        BEGIN SELECT RAISE(ABORT, 'the journal is never changed'); END;
CREATE TRIGGER journal_grows BEFORE DELETE ON journal
        BEGIN SELECT RAISE(ABORT, 'the journal is never changed'); END;
COMMIT;
