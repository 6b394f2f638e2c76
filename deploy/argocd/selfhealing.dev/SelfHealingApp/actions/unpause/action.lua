-- The operator goes on.
obj.spec.paused = nil
return obj
