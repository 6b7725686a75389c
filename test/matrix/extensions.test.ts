import assert from 'node:assert/strict';
import { it } from 'node:test';
import { backUp, restoreAndCompare, restoreByScriptAndCompare } from '../oracle/prove.js';
import { withCluster } from '../support/cluster.js';
import { uniqueDatabaseName } from '../support/database.js';
import { findServerWithExtensions, type PostgresPrograms } from '../support/postgres-programs.js';
import { withTemporaryDirectory } from '../support/temporary-directory.js';

/** Their configuration tables hold what users add: a projection, a topology and its tables, settings of the geocoder. */
const postgis = `
CREATE EXTENSION postgis; CREATE EXTENSION postgis_raster; CREATE EXTENSION postgis_topology;
CREATE EXTENSION fuzzystrmatch; CREATE EXTENSION postgis_tiger_geocoder;
INSERT INTO public.spatial_ref_sys (srid, auth_name, auth_srid, srtext, proj4text) VALUES (990001, 'mine', 1, 'LOCAL_CS["mine"]', '+proj=longlat');
CREATE TABLE public.places (id int PRIMARY KEY, at public.geometry(PointZ, 4326), area public.geography(Polygon), any_shape public.geometry,
  box public.box3d, mine public.geometry(Point, 990001), pixels public.raster);
INSERT INTO public.places SELECT n, public.ST_SetSRID(public.ST_MakePoint(n * 0.1, -n * 0.01, 'NaN'), 4326),
  format('POLYGON((0 0, %s 0, %1$s %1$s, 0 0))', n % 80 + 1)::public.geography, 
  CASE n % 4 WHEN 0 THEN NULL WHEN 1 THEN 'POINT EMPTY' WHEN 2 THEN 'CURVEPOLYGON(CIRCULARSTRING(0 0, 4 0, 4 4, 0 4, 0 0))' ELSE 'GEOMETRYCOLLECTION M (POINT M (1 2 3))' END,
  public.ST_3DMakeBox(public.ST_MakePoint(0, 0, 0), public.ST_MakePoint(n, n, n)), public.ST_SetSRID(public.ST_MakePoint(n, n), 990001),
  CASE WHEN n % 50 = 0 THEN public.ST_AddBand(public.ST_MakeEmptyRaster(20, 20, 0, 0, 1), '8BUI'::text, n % 200, 0) END
FROM generate_series(1, 500) n;
CREATE INDEX ON public.places USING gist (at); CREATE INDEX ON public.places USING spgist (any_shape); CREATE INDEX ON public.places USING gist (area);
SELECT topology.CreateTopology('city', 4326);
SELECT topology.TopoGeo_AddLineString('city', public.ST_GeomFromText('LINESTRING(0 0, 1 1, 2 0)', 4326));
CREATE TABLE public.streets (id int); SELECT topology.AddTopoGeometryColumn('city', 'public', 'streets', 'shape', 'LINE');
INSERT INTO public.streets SELECT 1, topology.toTopoGeom(public.ST_GeomFromText('LINESTRING(5 5, 6 6)', 4326), 'city', 1);
INSERT INTO tiger.geocode_settings (name, setting, unit, category, short_desc) VALUES ('mine', 'x', 'boolean', 'debug', 'of the user');
`;

const pgvector = `
CREATE EXTENSION vector;
CREATE TABLE public.items (id int PRIMARY KEY, embedding public.vector(3), half public.halfvec(4), thin public.sparsevec(1000), bits bit(16), many public.vector[]);
INSERT INTO public.items SELECT n, ARRAY[n / 7.0, -n, n * 1e-30]::real[]::public.vector, ARRAY[n / 3.0, 0, -n, 1]::real[]::public.halfvec,
  format('{%s:%s,1000:-1}/1000', n % 999 + 1, n + 0.5)::public.sparsevec, (n * 37)::bit(16),
  ARRAY[ARRAY[n, 1]::real[]::public.vector, NULL, ARRAY[2, 3, 4]::real[]::public.vector] FROM generate_series(1, 2000) n;
INSERT INTO public.items (id) VALUES (0);
CREATE INDEX ON public.items USING hnsw (embedding public.vector_l2_ops) WITH (m = 8, ef_construction = 32);
CREATE INDEX ON public.items USING ivfflat (embedding public.vector_cosine_ops) WITH (lists = 10);
CREATE INDEX ON public.items USING hnsw (bits bit_hamming_ops);
`;

const find = (): { readonly programs?: PostgresPrograms; readonly obstacle?: string } => {
  try {
    return { programs: findServerWithExtensions() };
  } catch (error) {
    return { obstacle: String(error) };
  }
};

const { programs, obstacle } = find();

for (const [name, sql] of Object.entries({ PostGIS: postgis, pgvector })) {
  it(`a database with ${name} is the same after a restore, by dbbackup and by restore.sh`, { skip: obstacle ?? false }, () =>
    withTemporaryDirectory((outputDir) =>
      withCluster(
        async (cluster) => {
          const database = uniqueDatabaseName('extended');
          await cluster.createDatabase(database);
          await cluster.psql(database, sql);
          const subject = await backUp(cluster, database, outputDir);
          assert.deepEqual(await restoreAndCompare(subject, cluster), []);
          assert.deepEqual(await restoreByScriptAndCompare(subject, cluster), []);
        },
        programs === undefined ? {} : { programs },
      ),
    ),
  );
}
