-- The health of a SelfHealingApp, from status.phase and the condition Stalled.
local hs = {}

local healthOfPhase = {
  Pending = "Progressing",
  Progressing = "Progressing",
  Healing = "Progressing",
  Ready = "Healthy",
  Completed = "Healthy",
  Degraded = "Degraded",
  Quarantined = "Degraded",
  Invalid = "Degraded",
  Paused = "Suspended",
}

-- Somebody has paused the Deployment, or suspended the Job.
local suspendedReasons = { DeploymentPaused = true, JobSuspended = true }

local status = obj.status
if status == nil or status.observedGeneration ~= obj.metadata.generation then
  hs.status = "Progressing"
  hs.message = "Waiting for the operator to look at the latest spec"
  return hs
end

hs.status = healthOfPhase[status.phase] or "Unknown"
hs.message = status.message

for _, condition in ipairs(status.conditions or {}) do
  if condition.type == "Stalled" and suspendedReasons[condition.reason] then
    hs.status = "Suspended"
  end
end

-- As for a Job itself: one that runs is not Healthy before it has succeeded.
if status.phase == "Ready" and status.job ~= nil and status.job.result == nil then
  hs.status = "Progressing"
end

return hs
