-- Approves the action that waits for it.
local healing = (obj.status or {}).healing or {}
for _, action in ipairs(healing.history or {}) do
  if action.outcome == "Proposed" then
    if obj.metadata.annotations == nil then
      obj.metadata.annotations = {}
    end
    obj.metadata.annotations["selfhealing.dev/approve"] = tostring(action.id)
    break
  end
end
return obj
