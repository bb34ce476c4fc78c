UPDATE replays SET state = 'stopped' WHERE id = $1 AND state = 'running'
