"""The ledger: one DynamoDB table.

========================  ==================  =====================================================
pk                        sk                  item
========================  ==================  =====================================================
``WORKLOADS``             workload id         the hot item: instance, mode, breaker, cooldown, claim
``PLANS``                 workload id         launch template and standing failover plan
``INSTANCE#id``           ``POINTER``         the workload of an instance
``WORKLOAD#id``           ``SWITCH#id``       one switch
``WORKLOAD#id``           ``DECISION#at#id``  one change of decision
``WORKLOAD#id``           ``COMMAND#time#*``  one manual request, with the requester
``MODELS``                ``REGISTRY``        which models are live, previous and pending
``MODELS``                ``MODEL#version``   state of one uploaded model
``MODELS``                ``CHANGE#time#*``   one change of a model, with the requester
``FORECASTS``             ``day#06h#model``   scores of a model's forecasts of one horizon and day
``STACK``                 ``STATE``           global stop, overrides, the stack's breaker
``STACK``                 ``LEASE#decide``    prevents two cycles at a time
``STACK``                 ``LEASE#sweep``     prevents two sweeps at a time
``STACK``                 ``COMMAND#time#*``  one manual request for the whole stack
========================  ==================  =====================================================

Hot items share a partition so that one query reads every workload of the stack; an item of 1 KB for
each of 10,000 workloads is 1,250 read units, within a partition's 3,000 a second (DynamoDB
developer guide, "Partitions").
"""
