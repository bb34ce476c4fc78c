"""Which stages are queued or running now, read from the board."""

from __future__ import annotations

from dataclasses import dataclass

from redis.asyncio import Redis

from pipeline.adapters.redis.keys import Keys
from pipeline.core.stages import Stage, StageState
from tests.harness.redis_calls import reply

_LIVE_STAGES = """
local found = {}
for _, member in ipairs(redis.call('ZRANGE', KEYS[1] .. 'stage-leases', 0, -1)) do
  local id, stage = string.match(member, '^(.*)|(.*)|.*$')
  local fields = redis.call('HMGET', KEYS[1] .. 'upload:' .. id, 'stage.' .. stage .. '.state',
    'stage.' .. stage .. '.takeovers', 'stage.' .. stage .. '.failures')
  local until_ms = redis.call('ZSCORE', KEYS[1] .. 'stage-leases', member)
  found[#found + 1] = {id, stage, fields[1] or '', fields[2] or '0', fields[3] or '0', until_ms}
end
return found
"""


@dataclass(frozen=True, slots=True)
class LiveStage:
    """A stage that is queued or running. `until_ms`: when it becomes overdue, by Redis' clock."""

    upload_id: str
    stage: Stage
    state: StageState
    takeovers: int
    failures: int
    until_ms: int


async def live_stages(redis: Redis, keys: Keys) -> list[LiveStage]:
    """The queued and running stages of all uploads. Raises RedisError."""
    found = await reply(redis.eval(_LIVE_STAGES, 1, keys.prefix))
    return [
        LiveStage(upload_id, Stage(stage), StageState(state), int(takeovers), int(failures), int(float(until_ms)))
        for upload_id, stage, state, takeovers, failures, until_ms in found
        if state
    ]
