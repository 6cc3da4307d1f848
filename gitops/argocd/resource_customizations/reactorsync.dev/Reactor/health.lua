-- Ready answers whether the operator did what the spec asks, not whether the plant is well: a trip
-- or a fault that a scenario injects must not hold up a sync.
local health = {status = "Progressing", message = "Waiting for the operator"}
local status = obj.status

if status == nil or status.conditions == nil
    or status.observedGeneration ~= obj.metadata.generation then
  return health
end

local ready, stalled
for _, condition in ipairs(status.conditions) do
  if condition.type == "Ready" then
    ready = condition
  elseif condition.type == "Stalled" then
    stalled = condition
  end
end

local function explained(condition)
  if condition.message == nil or condition.message == "" then
    return condition.reason
  end
  return condition.reason .. ": " .. condition.message
end

if stalled ~= nil and stalled.status == "True" then
  health.status = "Degraded"
  health.message = explained(stalled)
elseif ready == nil then
  return health
elseif ready.status ~= "True" then
  health.message = explained(ready)
elseif obj.spec.state == "Suspended" then
  health.status = "Suspended"
  health.message = explained(ready)
else
  health.status = "Healthy"
  health.message = explained(ready)
end
return health
