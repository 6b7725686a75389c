#include "addon/engine_binding.h"

#include "addon/convert.h"
#include "addon/fields.h"
#include "addon/wrap.h"

namespace dbbackup {

Napi::Value EngineBinding::open(const Napi::CallbackInfo& info) {
  Registry& registry = Registry::of(info.Env());
  using Self = EngineBinding;
  return wrap<Self>(info.Env(), std::make_unique<Self>(registry, read_engine_options(info[0])),
                    {bind<Self, &Self::run>("run"), bind<Self, &Self::stats>("stats"), bind<Self, &Self::stop>("stop"),
                     bind<Self, &Self::probe>("probe"), bind<Self, &Self::sever>("sever"), bind<Self, &Self::close>("close")});
}

EngineBinding::EngineBinding(Registry& registry, const EngineOptions& options)
    : Resource(registry), scheduler_(std::make_unique<Scheduler>(options)) {}

EngineBinding::~EngineBinding() {
  stop();
  drop_later(std::move(scheduler_));
}

void EngineBinding::stop() noexcept {
  if (scheduler_) scheduler_->stop();
}

void EngineBinding::join() noexcept { scheduler_.reset(); }

Napi::Value EngineBinding::run(const Napi::CallbackInfo& info) {
  TaskSpec task = read_task(info[0]);
  if (!scheduler_) return reject_cancelled(info.Env(), "the engine is closed");
  Completions& completions = registry()->completions();
  return completions.open(info.Env(), info.This().As<Napi::Object>(), [&](Completions::Ticket ticket) {
    scheduler_->submit(std::move(task), [&completions, ticket](Outcome outcome) {
      completions.post(ticket, [outcome = std::move(outcome)](Napi::Env env, Napi::Object) {
        if (outcome.error) throw *outcome.error;
        return to_js(env, outcome.result);
      });
    });
  });
}

Napi::Value EngineBinding::stats(const Napi::CallbackInfo& info) {
  return to_js(info.Env(), scheduler_ ? scheduler_->stats() : last_stats_);
}

namespace {

std::int64_t read_task_id(const Napi::CallbackInfo& info) { return static_cast<std::int64_t>(Field(info[0], "taskId").size()); }

}  // namespace

Napi::Value EngineBinding::probe(const Napi::CallbackInfo& info) {
  const std::int64_t task_id = read_task_id(info);
  const auto probe = scheduler_ ? scheduler_->probe(task_id) : std::nullopt;
  if (!probe) return info.Env().Null();
  const auto object = Napi::Object::New(info.Env());
  object.Set("backendPid", Napi::Number::New(info.Env(), probe->backend_pid));
  object.Set("unreadBytes", Napi::Number::New(info.Env(), static_cast<double>(probe->unread_bytes)));
  return object;
}

Napi::Value EngineBinding::sever(const Napi::CallbackInfo& info) {
  const std::int64_t task_id = read_task_id(info);
  return Napi::Boolean::New(info.Env(), scheduler_ && scheduler_->sever(task_id));
}

Napi::Value EngineBinding::stop(const Napi::CallbackInfo& info) {
  stop();
  return info.Env().Undefined();
}

Napi::Value EngineBinding::close(const Napi::CallbackInfo& info) {
  stop();
  if (scheduler_) {
    last_stats_ = scheduler_->stats();
    last_stats_.workers.clear();
  }
  return close_later(info, std::move(scheduler_));
}

}  // namespace dbbackup
