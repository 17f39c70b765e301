#!/usr/bin/env bash
# A Slurm cluster on this machine alone, for tests and for trying `sweep submit`: one controller, several nodes.
#
#   tests/slurm/cluster.sh start FOLDER [NODES]     start it; its state and its own processes' numbers are in FOLDER
#   . FOLDER/environment                            let sbatch, squeue and scontrol of this shell speak to it
#   tests/slurm/cluster.sh stop FOLDER              end the processes that `start` began, and no others
#
# It needs `apt-get install slurm-wlm munge` and root: the controller and all nodes run as root, each node is a slurmd of
# its own name and port on the loopback. Several clusters may run at once, each in a folder of its own.
# `SWEEP_SLURM_MAX_ARRAY` sets MaxArraySize (1001), `SWEEP_SLURM_MIN_JOB_AGE` the seconds after which the controller forgets
# a job that has ended (300). There is no accounting, as on many small clusters; with `SWEEP_SLURM_ACCOUNTS=1` there is, with
# limits enforced and no user in it but root: that needs `apt-get install slurmdbd mariadb-server` too.
set -euo pipefail

command=${1:-}
folder=${2:-}
nodes=${3:-2}
if [[ -z $folder || ($command != start && $command != stop) ]]; then
    sed -n '2,13s/^# \{0,1\}//p' "$0"
    exit 2
fi

stop() {
    # Nodes first, so that none complains of a controller that is gone. Numbers were written by `start`; a number that
    # was given to another program since is left alone.
    local file pid
    for file in "$folder"/pids/slurmd-* "$folder"/pids/{slurmctld,slurmdbd,mariadbd,munged}; do
        [[ -f $file ]] || continue
        pid=$(<"$file")
        if grep -qas "$folder" "/proc/$pid/cmdline" "/proc/$pid/environ"; then
            kill "$pid" 2>/dev/null || true
            for _ in $(seq 100); do
                [[ -d /proc/$pid ]] || break
                sleep 0.05
            done
            [[ -d /proc/$pid ]] && kill -9 "$pid" 2>/dev/null || true
        fi
        rm -f "$file"
    done
}

free_port() {
    # The kernel picks a free one; nobody else takes it in the moments until it is used.
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# Waits for up to so many tenths of a second until a command succeeds.
wait_for() {
    local tenths=$1
    shift
    for _ in $(seq "$tenths"); do
        timeout 5 "$@" >/dev/null 2>&1 && return
        sleep 0.1
    done
    echo "waited in vain: $*" >&2
    tail -n 5 "$folder"/log/* >&2
    stop
    exit 1
}

# A database of its own, reached by a socket alone, and the daemon that keeps the accounts in it.
start_accounts() {
    mkdir -p "$folder/database"
    chown mysql "$folder/database"
    mariadb-install-db --no-defaults --user=mysql --datadir="$folder/database" --auth-root-authentication-method=normal \
        --skip-test-db >"$folder/log/mariadb-install" 2>&1
    # Sockets have short names; the folder must be one that the database's user may enter.
    mariadbd --no-defaults --user=mysql --datadir="$folder/database" --socket="$folder/database/socket" --skip-networking \
        --pid-file="$folder/database/pid" --innodb-buffer-pool-size=64M --innodb-lock-wait-timeout=900 \
        >"$folder/log/mariadbd" 2>&1 &
    echo $! >"$folder/pids/mariadbd"
    wait_for 300 mariadb-admin --no-defaults --socket="$folder/database/socket" ping
    local port
    port=$(free_port)
    {
        echo "DbdHost=localhost"
        echo "DbdAddr=127.0.0.1"
        echo "DbdPort=$port"
        echo "AuthType=auth/munge"
        echo "AuthInfo=socket=$folder/munge/socket"
        echo "SlurmUser=root"
        echo "StorageType=accounting_storage/mysql"
        echo "StorageHost=localhost"
        echo "StorageUser=root"
        echo "LogFile=$folder/log/slurmdbd"
        echo "PidFile=$folder/slurmdbd.pid"
    } >"$folder/slurmdbd.conf"
    chmod 600 "$folder/slurmdbd.conf"
    {
        echo "AccountingStorageType=accounting_storage/slurmdbd"
        echo "AccountingStorageHost=127.0.0.1"
        echo "AccountingStoragePort=$port"
        # What is a password elsewhere names the socket here.
        echo "AccountingStoragePass=$folder/munge/socket"
        echo "AccountingStorageEnforce=limits,qos"
    } >>"$folder/slurm.conf"
    MYSQL_UNIX_PORT=$folder/database/socket slurmdbd -D >>"$folder/log/slurmdbd.out" 2>&1 &
    echo $! >"$folder/pids/slurmdbd"
    wait_for 50 sacctmgr --noheader list cluster
    sacctmgr --immediate add cluster sweep-test >>"$folder/log/sacctmgr" 2>&1
}

start() {
    local programs=(munged slurmctld slurmd sbatch) packages="slurm-wlm munge"
    if [[ -n ${SWEEP_SLURM_ACCOUNTS:-} ]]; then
        programs+=(slurmdbd mariadbd)
        packages+=" slurmdbd mariadb-server"
    fi
    for program in "${programs[@]}"; do
        if ! command -v "$program" >/dev/null; then
            echo "no $program: apt-get install $packages" >&2
            exit 1
        fi
    done
    if [[ $(id -u) != 0 ]]; then
        echo "the nodes of the cluster run as root" >&2
        exit 1
    fi
    mkdir -p "$folder"
    folder=$(cd "$folder" && pwd -P)
    mkdir -p "$folder"/{pids,munge,state,spool,log}
    chmod 755 "$folder" "$folder/munge"

    head -c 128 /dev/urandom >"$folder/munge/key"
    chmod 400 "$folder/munge/key"
    munged --foreground --force --socket="$folder/munge/socket" --key-file="$folder/munge/key" \
        --pid-file="$folder/munge/pid" --seed-file="$folder/munge/seed" --log-file="$folder/log/munged" \
        >>"$folder/log/munged.out" 2>&1 &
    echo $! >"$folder/pids/munged"

    local host cores memory names
    host=$(hostname -s)
    cores=$(nproc)
    memory=$(awk '/MemTotal/ {print int($2 / 1024 / 2)}' /proc/meminfo)
    names="node[1-$nodes]"
    {
        echo "ClusterName=sweep-test"
        echo "SlurmctldHost=$host(127.0.0.1)"
        echo "SlurmctldPort=$(free_port)"
        echo "SlurmUser=root"
        echo "AuthType=auth/munge"
        # A job that is requeued waits until its earlier credentials are void, else two minutes.
        echo "AuthInfo=socket=$folder/munge/socket,cred_expire=5"
        echo "StateSaveLocation=$folder/state"
        echo "SlurmdSpoolDir=$folder/spool/%n"
        echo "SlurmctldPidFile=$folder/slurmctld.pid"
        echo "SlurmdPidFile=$folder/slurmd-%n.pid"
        echo "SlurmctldLogFile=$folder/log/slurmctld"
        echo "SlurmdLogFile=$folder/log/%n"
        echo "ProctrackType=proctrack/linuxproc"
        echo "TaskPlugin=task/none"
        echo "SelectType=select/cons_tres"
        echo "SelectTypeParameters=CR_Core"
        [[ -n ${SWEEP_SLURM_ACCOUNTS:-} ]] || echo "AccountingStorageType=accounting_storage/none"
        echo "JobAcctGatherType=jobacct_gather/none"
        echo "SchedulerParameters=sched_interval=1,batch_sched_delay=0,default_queue_depth=1000"
        echo "MaxArraySize=${SWEEP_SLURM_MAX_ARRAY:-1001}"
        echo "MaxJobCount=50000"
        echo "KillWait=10"
        echo "MinJobAge=${SWEEP_SLURM_MIN_JOB_AGE:-300}"
        echo "SlurmdTimeout=10"
        echo "ReturnToService=1"
        echo "MpiDefault=none"
        # A node's own port is what tells several on one machine apart. Two CPUs each are promised, whatever there are.
        for node in $(seq "$nodes"); do
            echo "NodeName=node$node NodeHostname=$host NodeAddr=127.0.0.1 Port=$(free_port) CPUs=2 RealMemory=$memory State=UNKNOWN"
        done
        echo "PartitionName=all Nodes=$names Default=YES MaxTime=INFINITE State=UP"
    } >"$folder/slurm.conf"
    echo "SlurmdParameters=config_overrides" >>"$folder/slurm.conf"
    {
        echo "export SLURM_CONF='$folder/slurm.conf'"
    } >"$folder/environment"

    export SLURM_CONF=$folder/slurm.conf
    wait_for 100 test -S "$folder/munge/socket"
    if [[ -n ${SWEEP_SLURM_ACCOUNTS:-} ]]; then
        start_accounts
    fi
    slurmctld -D -f "$SLURM_CONF" >>"$folder/log/slurmctld.out" 2>&1 &
    echo $! >"$folder/pids/slurmctld"
    for node in $(seq "$nodes"); do
        slurmd -D -N "node$node" -f "$SLURM_CONF" >>"$folder/log/node$node.out" 2>&1 &
        echo $! >"$folder/pids/slurmd-node$node"
    done
    for _ in $(seq 200); do
        if [[ $(sinfo --noheader --Node --states=idle 2>/dev/null | wc -l) == "$nodes" ]]; then
            echo "$nodes nodes are up; speak to them with: . $folder/environment"
            return
        fi
        sleep 0.1
    done
    echo "the nodes do not come up; $folder/log says why" >&2
    tail -n 5 "$folder"/log/* >&2
    stop
    exit 1
}

"$command"
