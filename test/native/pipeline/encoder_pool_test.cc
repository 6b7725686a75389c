#include "pipeline/encoder_pool.h"

#include <gtest/gtest.h>

#include <cstring>

#include "codec/samples.h"
#include "support/errors.h"

namespace dbbackup::test {

namespace {

std::unique_ptr<EncodeJob> job_of(BlockPool& pool, std::span<const std::byte> raw, Codec codec, int level = 1) {
  auto job = std::make_unique<EncodeJob>();
  job->raw = pool.acquire({});
  std::memcpy(job->raw.data(), raw.data(), raw.size());
  job->raw.size = raw.size();
  job->frame = pool.acquire({});
  job->codec = codec;
  job->level = level;
  return job;
}

TEST(EncoderPool, EncodesManyJobsForManyOwners) {
  EncoderPool encoders(2);
  std::vector<std::jthread> owners;
  for (int owner = 0; owner < 3; ++owner) {
    owners.emplace_back([&, owner] {
      BlockPool pool(6);
      FrameDecoder decoder;
      Random random(static_cast<std::uint64_t>(owner));
      std::deque<std::pair<std::unique_ptr<EncodeJob>, Bytes>> jobs;
      const auto collect = [&] {
        EncodeJob& job = *jobs.front().first;
        job.wait();
        EXPECT_TRUE(decode(decoder, job.codec, job.frame.bytes()) == jobs.front().second);
        jobs.pop_front();
      };
      for (int round = 0; round < 60; ++round) {
        const Bytes raw =
            random.chance(50) ? random.bytes(1 + random.below(50000)) : Bytes(1 + random.below(kBlockRawBytes), std::byte{'x'});
        if (jobs.size() == 3) collect();
        jobs.emplace_back(job_of(pool, raw, kCodecs[random.below(std::size(kCodecs))]), raw);
        encoders.submit(jobs.back().first.get());
      }
      while (!jobs.empty()) collect();
    });
  }
}

TEST(EncoderPool, AnErrorBelongsToItsJob) {
  EncoderPool encoders(1);
  BlockPool pool(4);
  const Bytes raw = bytes_of("a value");
  const auto good = job_of(pool, raw, Codec::kGzip);
  const auto bad = job_of(pool, raw, Codec::kGzip, 99);
  encoders.submit(bad.get());
  encoders.submit(good.get());
  EXPECT_EQ(code_of([&] { bad->wait(); }), "internal");
  EXPECT_EQ(code_of([&] { bad->wait(); }), "internal");
  EXPECT_NO_THROW(good->wait());
}

TEST(EncoderPool, AfterAStopQueuedJobsAreNotEncoded) {
  EncoderPool encoders(1);
  BlockPool pool(4);
  Stop stop;
  const auto before = job_of(pool, bytes_of("a value"), Codec::kZstd);
  before->stop = &stop;
  encoders.submit(before.get());
  EXPECT_NO_THROW(before->wait());
  stop.request();
  const auto after = job_of(pool, bytes_of("a value"), Codec::kZstd);
  after->stop = &stop;
  encoders.submit(after.get());
  EXPECT_EQ(code_of([&] { after->wait(); }), "cancelled");
}

TEST(EncoderPool, RunsWhatIsQueuedBeforeItEnds) {
  BlockPool pool(20);
  std::vector<std::unique_ptr<EncodeJob>> jobs;
  {
    EncoderPool encoders(1);
    for (int count = 0; count < 10; ++count) {
      jobs.push_back(job_of(pool, Bytes(kBlockRawBytes), Codec::kZstd));
      encoders.submit(jobs.back().get());
    }
  }
  for (const auto& job : jobs) {
    job->wait();
    EXPECT_GT(job->frame.size, 0u);
  }
}

}  // namespace

}  // namespace dbbackup::test
