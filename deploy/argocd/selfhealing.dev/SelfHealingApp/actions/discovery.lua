-- Which actions can be taken on a SelfHealingApp now.
local healing = {}
if obj.status ~= nil and obj.status.healing ~= nil then
  healing = obj.status.healing
end

local isProposed = false
for _, action in ipairs(healing.history or {}) do
  if action.outcome == "Proposed" then
    isProposed = true
  end
end

local isPaused = obj.spec.paused == true

local actions = {}
actions["approve"] = {
  ["disabled"] = not isProposed,
  ["displayName"] = "Approve remediation",
}
actions["resume"] = {
  ["disabled"] = healing.quarantined ~= true,
  ["displayName"] = "Resume healing",
}
actions["retry"] = {
  ["disabled"] = healing.failedRevision == nil,
  ["displayName"] = "Retry revision",
}
actions["pause"] = { ["disabled"] = isPaused, ["displayName"] = "Pause" }
actions["unpause"] = { ["disabled"] = not isPaused, ["displayName"] = "Unpause" }
return actions
