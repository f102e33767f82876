-- A preview's headers move under a new key with all others, so that the old one can be forgotten.

grant update (monitor, healthcheck) on preview to quorate_control;
