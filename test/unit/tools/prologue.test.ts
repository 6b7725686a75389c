import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { dropUnknownSettings } from '#src/tools/prologue.js';

/** Written by pg_restore 17. */
const prologue = `--
-- PostgreSQL database dump
--

\\restrict Ab3xYz

-- Dumped from database version 15.18 (Debian 15.18-0+deb12u1)
-- Dumped by pg_dump version 17.11 (Debian 17.11-0+deb13u1)

SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET transaction_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

--
-- Name: f(); Type: FUNCTION; Schema: public; Owner: postgres
--

`;
const body = `CREATE FUNCTION public.f() RETURNS void LANGUAGE sql AS $$
SET transaction_timeout = 0;
$$;

COMMENT ON FUNCTION public.f() IS 'é
SET transaction_timeout = 0;
\xff';
`;

const filter = async (text: string | Buffer, targetMajor: number, sizes: readonly number[] = []): Promise<string> => {
  const bytes = Buffer.from(text);
  const pieces = async function* (): AsyncGenerator<Uint8Array> {
    let begin = 0;
    for (const size of sizes) {
      yield bytes.subarray(begin, begin + size);
      begin += size;
    }
    yield bytes.subarray(begin);
  };
  const chunks: Uint8Array[] = [];
  for await (const chunk of dropUnknownSettings(targetMajor)(pieces())) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
};

const line = 'SET transaction_timeout = 0;\n';

describe('dropUnknownSettings', () => {
  it('drops the line from the prologue alone, however the bytes come', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 0, max: 200 })), async (sizes) => {
        assert.equal(await filter(prologue + body, 16, sizes), prologue.replace(line, '') + body);
        assert.equal(await filter(prologue + body, 17, sizes), prologue + body);
      }),
    );
  });

  it('touches nothing after the first line that is not the prologue’s', async () => {
    assert.equal(await filter(`SELECT 1;\n${line}`, 15), `SELECT 1;\n${line}`);
    const long = `${'x'.repeat(5000)}\n${line}`;
    assert.equal(await filter(long, 15, [4500]), long);
    assert.equal(await filter(`${line}no newline at the end`, 15), 'no newline at the end');
    assert.equal(await filter('', 15), '');
  });
});
