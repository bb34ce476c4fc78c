// @tus/server with its S3 store: node tus_server.js '{"host": ..., "port": ..., "partBytes": ..., "s3": {...}}', where `s3`
// is the configuration of an S3 client, with the name of the bucket. Uploads are below /files.
//
// Its defaults, except: parts of `partBytes`, for comparison with segments of the same length; and no tags and no
// checksums of the SDK's newer default, neither of which every S3-compatible store has.

import { S3Store } from "@tus/s3-store";
import { Server } from "@tus/server";

const { host, port, partBytes, s3 } = JSON.parse(process.argv[2]);
const common = { forcePathStyle: true, requestChecksumCalculation: "WHEN_REQUIRED", responseChecksumValidation: "WHEN_REQUIRED" };
const datastore = new S3Store({ partSize: partBytes, useTags: false, s3ClientConfig: { ...common, ...s3 } });
new Server({ path: "/files", datastore }).listen(port, host);
