/** Uploads files to Sluice from browsers and node 20 or newer. */

/** `queued`: before the server knows it. The others are the server's; see docs/api.md. */
export type UploadStatus =
  | "queued" | "granted" | "waiting" | "admitted" | "receiving" | "processing" | "held" | "ready" | "joined" | "failed" | "expired" | "cancelled";

export type Transport = "gateway" | "direct";

/** Inclusive ranges of segment numbers, from 1. */
export type Ranges = Array<[first: number, last: number]>;

/** Metadata of a file; `streams` and the other fields are those of the API's `media`. */
export interface MediaMetadata {
  kind: string;
  container: string;
  duration_seconds: number | null;
  bit_rate: number | null;
  size_bytes: number;
  streams: Array<Record<string, unknown> & { type: string; codec: string }>;
  [field: string]: unknown;
}

export interface StageView {
  state: "pending" | "queued" | "running" | "idle" | "done" | "skipped" | "failed" | "stopped";
  attempts: number;
  started_at: string | null;
  finished_at: string | null;
  error_code: string | null;
}

/** An upload as the server describes it. */
export interface UploadView {
  id: string;
  owner: string;
  status: Exclude<UploadStatus, "queued">;
  queue_position: number | null;
  filename: string;
  size: number;
  content_type: string;
  transport: string;
  metadata: Record<string, string>;
  segment_size: number;
  segment_count: number;
  deferred: boolean;
  bytes_received: number;
  bytes_stored: number;
  missing_segments: Ranges;
  wanted_segments: Ranges;
  window_size: number | null;
  stages: Record<string, StageView>;
  error: { code: string; message: string } | null;
  media: MediaMetadata | null;
  content_id: string | null;
  created_at: string;
  updated_at: string;
  expires_at: string | null;
  deadline_at: string | null;
  links: Record<string, string | null>;
}

/** A content as the server describes it. */
export interface ContentView {
  id: string;
  filename: string;
  content_type: string;
  media: MediaMetadata;
  metadata: Record<string, string>;
  links: Record<string, string | null>;
  [field: string]: unknown;
}

/** Every failure. `code`: of the server's catalogue, `HTTP_<status>`, or one of this client's. */
export class SluiceError extends Error {
  readonly code: string;
  /** HTTP status; 0 without a response. */
  readonly status: number;
  readonly retryable: boolean;
  /** Seconds after which the server wants to be asked again. */
  readonly retryAfter: number | null;
  readonly detail: Readonly<Record<string, unknown>>;
}

/** An upload that an earlier page or process did not finish. Contains the upload's token, and no key. */
export interface ResumeRecord {
  id: string;
  key: string;
  createdAt: number;
  uploadId: string | null;
  token: string | null;
  server: string;
  account: string;
  filename: string;
  path: string;
  size: number;
  lastModified: number;
  contentType: string;
  transport: Transport;
  metadata: Record<string, string>;
  handle?: unknown;
}

/** Where records are kept. Implement it over a file or a database to resume in another process. */
export interface ResumeStore {
  get(id: string): Promise<ResumeRecord | null>;
  put(record: ResumeRecord): Promise<void>;
  delete(id: string): Promise<void>;
  list(): Promise<ResumeRecord[]>;
}

export class MemoryStore implements ResumeStore {
  get(id: string): Promise<ResumeRecord | null>;
  put(record: ResumeRecord): Promise<void>;
  delete(id: string): Promise<void>;
  list(): Promise<ResumeRecord[]>;
}

/** In browsers; in memory where IndexedDB is not allowed. */
export class IndexedDBStore implements ResumeStore {
  constructor(name?: string);
  get(id: string): Promise<ResumeRecord | null>;
  put(record: ResumeRecord): Promise<void>;
  delete(id: string): Promise<void>;
  list(): Promise<ResumeRecord[]>;
}

export interface ClientOptions {
  /** Address of the gateway, with the path below which it is served. */
  endpoint: string | URL;
  /** API key, permit, or token of your identity provider, or a function that returns a current one. */
  credential?: string | null | (() => string | null | Promise<string | null>);
  /** `direct`: segments go to the object store, which needs a CORS configuration of its own. Default: `gateway`. */
  transport?: Transport;
  /** Segments that are sent at once, over all files. Default: 5, which leaves one of a browser's six connections. */
  segments?: number;
  /** Files that are sent at once; others wait in this client. Default: 3. */
  files?: number;
  /** Default: IndexedDB in browsers, else memory. */
  store?: ResumeStore;
  /** Who uploads: uploads of one account are never continued by another one. */
  account?: string;
  /** Seconds for which an unreachable server is tried again. Default: a day. */
  giveUpAfter?: number;
  /**
   * Send the MD5 of each segment, which costs a page more than the usual digest and spares the server the most where
   * `segment_digest` of its uploads is `md5`. Default: false.
   */
  md5?: boolean;
  /** In place of the global fetch. */
  fetch?: typeof globalThis.fetch;
}

export interface UploadOptions {
  /** Default: the File's name. Required for a Blob. */
  filename?: string;
  /** Path within a folder: distinguishes files of one name. */
  path?: string;
  contentType?: string;
  metadata?: Record<string, string>;
  transport?: Transport;
  /** Milliseconds; distinguishes versions of a file. Default: the File's. */
  lastModified?: number;
  /** Kept in the record, so that a page can open the file again after a reload. */
  handle?: FileSystemFileHandle;
  /** Stops sending. The server keeps the upload, which can be continued until it expires. */
  signal?: AbortSignal;
}

export class SluiceClient {
  constructor(options: ClientOptions);
  /** Begin to upload a file, or continue where an earlier page or process was interrupted. */
  upload(file: Blob, options?: UploadOptions): Upload;
  /** Continue an unfinished upload with its file. Throws FILE_DIFFERS where it is another file. */
  continue(record: ResumeRecord, file: Blob, options?: UploadOptions): Upload;
  /** Follow an unfinished upload without its file; it fails with FILE_NEEDED when bytes are missing. */
  follow(record: ResumeRecord, options?: UploadOptions): Upload;
  /** Records of this server and account that no other tab is working on, oldest first. */
  unfinished(): Promise<ResumeRecord[]>;
  /** What the server says of an unfinished upload, or null. */
  look(record: ResumeRecord): Promise<UploadView | null>;
  /** Cancel an unfinished upload. */
  discard(record: ResumeRecord): Promise<void>;
  /** Release the worker that computes digests. */
  close(): void;
}

/** `change`: anything; `progress`: bytes; `media`: the metadata is known; `created`, `restart`, `end`. */
export type UploadEvent = "change" | "progress" | "media" | "created" | "restart" | "end";

export class Upload extends EventTarget {
  private constructor();
  readonly file: Blob;
  readonly filename: string;
  readonly fingerprint: string;
  readonly id: string | null;
  readonly status: UploadStatus;
  readonly view: UploadView | null;
  readonly content: ContentView | null;
  readonly error: SluiceError | null;
  /** What it waits for; `at`: when it tries again (milliseconds), or null if that is not known. */
  readonly problem: { error: SluiceError; at: number | null } | null;
  readonly isPaused: boolean;
  readonly isSending: boolean;
  readonly bytesTotal: number;
  readonly bytesSent: number;
  /** Bytes per second. */
  readonly rate: number | null;
  readonly secondsLeft: number | null;
  /** Resolves with the content when the upload is `ready`; rejects with a SluiceError. */
  readonly done: Promise<ContentView>;
  pause(): void;
  resume(): void;
  cancel(): Promise<void>;
  /** The JPEG, as soon as there is one, also while bytes are being sent. */
  thumbnail(signal?: AbortSignal): Promise<Blob | null>;
  addEventListener(type: UploadEvent, listener: (event: Event) => void, options?: boolean | AddEventListenerOptions): void;
  removeEventListener(type: UploadEvent, listener: (event: Event) => void, options?: boolean | EventListenerOptions): void;
}
