# What the extension costs a server that doesn't use it: prepared point reads where it is only
# preloaded, and where it knows a node but routing is off, against a server without it. A second
# server without it shows how far apart two equal servers come out here.

start_primary plain
start_primary plain_too
start_primary preloaded "${with_extension[@]}"
start_primary nodes "${with_extension[@]}"
start_replica nodes_r1 nodes "${with_extension[@]}"
declare_nodes nodes nodes_r1

before_round()
{
    restart_warm plain plain_too preloaded nodes
    pin "$last_cpu" plain plain_too preloaded nodes
}

arm_plain()     { tps_pinned plain -S -M prepared; }
arm_plain_too() { tps_pinned plain_too -S -M prepared; }
arm_preloaded() { tps_pinned preloaded -S -M prepared; }
arm_nodes_off() { with_settings '-c consistency.routing=off' tps_pinned nodes -S -M prepared; }

rounds plain preloaded nodes_off plain_too
ratio 'preloaded, no nodes : plain' preloaded plain 'reads/s' '>= 0.98'
ratio 'nodes, routing off : plain' nodes_off plain 'reads/s' '>= 0.98'
between_peers 'plain : plain (noise)' plain_too plain 'reads/s'

# Instructions of the backend, one sample each: they repeat to half a percent.
stop plain
stop preloaded
stop nodes
instructions_per_query plain > "$samples/plain_instructions"
instructions_per_query preloaded > "$samples/preloaded_instructions"
with_settings '-c consistency.routing=off' instructions_per_query nodes > "$samples/nodes_off_instructions"
ratio 'preloaded, no nodes : plain' preloaded_instructions plain_instructions 'instructions/read' '<= 1.02'
ratio 'nodes, routing off : plain' nodes_off_instructions plain_instructions 'instructions/read' '<= 1.02'
